#!/usr/bin/env python3
"""Trains a rewritten file for two steps with TorchScript's own executor: train_two_steps.py LIBRARY FILE.pt NAME.

A process of its own: the executor's mode must be set before anything runs, and the zoo test uses the other one.
The first step runs what the profiling executor observes, the second what it optimized.
"""

from __future__ import annotations

import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "zoo"))

import models  # noqa: E402  (found through the path above)
import saved_bytes  # noqa: E402


def main() -> None:
    library, path, name = sys.argv[1:]
    torch.set_num_threads(saved_bytes.THREADS)
    torch.manual_seed(models.SEED)
    torch.ops.load_library(library)
    module = saved_bytes.load_for_training(pathlib.Path(path))
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    example = models.MODELS[name].input.sample()
    for step in range(2):
        before = [parameter.detach().clone() for parameter in module.parameters()]
        optimizer.zero_grad()
        loss = module(example).square().mean()
        loss.backward()
        optimizer.step()
        moved = sum(not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))
        if not torch.isfinite(loss) or moved == 0:
            sys.exit(f"step {step}: loss {loss.item()}, {moved} parameters moved")


if __name__ == "__main__":
    main()
