#!/usr/bin/env python3
"""Small models with sites that the tool accepts: models.py INVACT FOLDER writes NAME.pt and NAME.invact.pt of each."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

SEED = 0
CLASSES = 4


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, CLASSES))


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.SiLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.GELU(approximate="tanh"),
        nn.Conv2d(16, 16, 3, stride=2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, CLASSES),
    )


@dataclasses.dataclass(frozen=True)
class Model:
    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...]  # of one sample
    sites: int  # that a rewrite accepts

    def batch(self, size: int, seed: int = SEED) -> tuple[Tensor, Tensor]:
        """Inputs and the classes to learn."""
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(size, *self.input_shape, generator=generator)
        return inputs, torch.randint(CLASSES, (size,), generator=generator)


MODELS = {"mlp": Model(mlp, (16,), 2), "conv": Model(conv, (3, 12, 12), 2)}


def build(name: str) -> nn.Module:
    """The eager module, the same at every call."""
    torch.manual_seed(SEED)
    return MODELS[name].build().train()


def load(folder: pathlib.Path, name: str, rewritten: bool) -> torch.jit.ScriptModule:
    """The TorchScript module in train mode, original or rewritten."""
    return torch.jit.load(folder / (f"{name}.invact.pt" if rewritten else f"{name}.pt")).train()


def main() -> None:
    invact, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in MODELS.items():
        inputs, _ = model.batch(8)
        torch.jit.save(torch.jit.trace(build(name), inputs), folder / f"{name}.pt")
        document = folder / f"{name}.rewrite.json"
        subprocess.run(
            [invact, "rewrite", f"{name}.pt", "-o", f"{name}.invact.pt", "--force", "-q", "--json", document.name],
            cwd=folder,
            check=True,
        )
        accepted = sum(site["decision"] == "accepted" for site in json.loads(document.read_text())["plan"])
        if accepted != model.sites:
            sys.exit(
                f"{name}: {accepted} sites rewritten, expected {model.sites}: nothing to compare with the original"
            )


if __name__ == "__main__":
    main()
