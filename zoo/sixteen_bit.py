"""How far a model's bfloat16 gradients lie from float64's, rewritten and not."""

from __future__ import annotations

import pathlib
import subprocess
import warnings

import torch

import gradients
import models


def _trace(model: torch.nn.Module, example: torch.Tensor, dtype: torch.dtype, path: pathlib.Path) -> None:
    converted = example.to(dtype) if example.is_floating_point() else example
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(model.to(dtype), converted, check_trace=False), path)


def bfloat16_distances(invact: pathlib.Path, name: str, work: pathlib.Path, seed: int) -> tuple[float, float]:
    """Gradient distances from float64 in bfloat16: the original's own, and the rewritten model's.

    All are traced anew, since a trace holds its dtype: in bfloat16, and with the same weights in float64. On the CPU
    dropout draws the same masks in every dtype.
    """
    model, entry = models.build(name)
    torch.manual_seed(seed)
    example = entry.sample()
    original, rewritten, exact = (work / f"{name}.{part}.pt" for part in ("bf16", "bf16.invact", "f64"))
    _trace(model, example, torch.bfloat16, original)
    _trace(model, example, torch.float64, exact)
    argv = [str(part) for part in (invact, "rewrite", original, "-o", rewritten, "--force", "--seed", seed)]
    subprocess.run(argv, check=True, capture_output=True, text=True)
    reference, own, ours = (
        gradients.run_step(path, (example,), seed, dtype).gradients
        for path, dtype in ((exact, torch.float64), (original, torch.bfloat16), (rewritten, torch.bfloat16))
    )
    return gradients.distance(reference, own)[0], gradients.distance(reference, ours)[0]
