"""How far two models' gradients lie apart, from the definition alone: the tool's own figure is not used."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import saved_bytes

Gradients = dict[str, Tensor | None]


@dataclasses.dataclass(frozen=True)
class Step:
    """One forward and backward."""

    outputs: list[Tensor]
    gradients: Gradients


def flatten(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for item in value for tensor in flatten(item)] if isinstance(value, (list, tuple)) else []


def run_step(path: pathlib.Path, inputs: tuple[Tensor, ...], seed: int, dtype: torch.dtype) -> Step:
    """Loads the file, converts it to `dtype`, and differentiates sum_i <output_i, r_i>, r_i ~ N(0, 1) / sqrt(numel)."""
    module = saved_bytes.load_for_training(path).to(dtype)
    converted = [tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in inputs]
    # Both sides of a comparison draw the same dropout masks.
    torch.manual_seed(seed)
    with _attention(dtype):
        outputs = flatten(module(*converted))
    generator = torch.Generator().manual_seed(seed)
    differentiated = [output for output in outputs if output.is_floating_point() and output.requires_grad]
    terms = [(output * _direction(output, generator)).sum() for output in differentiated]
    torch.stack(terms).sum().backward()
    return Step(
        [output.detach() for output in outputs], {name: parameter.grad for name, parameter in module.named_parameters()}
    )


def _attention(dtype: torch.dtype) -> contextlib.AbstractContextManager[None]:
    """The attention kernel of a run; a float64 reference must not take the flash kernel.

    A trace bakes its mask's dtype in, and LibTorch's CPU flash kernel reads a float32 mask beside float64 queries as if
    it were float64: garbage, silently.
    """
    return sdpa_kernel(SDPBackend.MATH) if dtype == torch.float64 else contextlib.nullcontext()


def _direction(output: Tensor, generator: torch.Generator) -> Tensor:
    # Drawn in float32 on every side, so that a float64 reference is differentiated along the same direction.
    return torch.randn(output.shape, generator=generator).to(output.dtype) / math.sqrt(output.numel())


def distance(original: Gradients, other: Gradients) -> tuple[float, str]:
    """The gradient distance: the largest term over the parameters, and the parameter that it belongs to."""
    if missing := [name for name in original if (original[name] is None) != (other[name] is None)]:
        return math.inf, missing[0]
    norms = {name: float(gradient.double().norm()) for name, gradient in original.items() if gradient is not None}
    floor = max(norms.values()) / 1000
    ratios = {
        name: float((original[name].double() - other[name].double()).norm()) / max(norm, floor)
        for name, norm in norms.items()
    }
    # NaN compares false with everything: without this, a NaN would pass as the smallest.
    worst = max(ratios, key=lambda name: math.inf if math.isnan(ratios[name]) else ratios[name])
    return ratios[worst], worst
