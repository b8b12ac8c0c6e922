"""The peak of a training step's memory as torch's own profiler sees it: the reference for the timeline of `analyze`."""

from __future__ import annotations

import torch
import torch.profiler
from torch import Tensor

import gradients
import saved_bytes


def measure_peak(module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Bytes at the peak of forward and backward, with parameters, buffers and inputs.

    Backward starts from a random tensor for each output that requires gradients, as `analyze` does.
    """
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        outputs = [output for output in gradients.flatten(module(*inputs)) if output.requires_grad]
        torch.autograd.backward(outputs, [torch.randn(output.shape).to(output.dtype) for output in outputs])
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    live = peak = 0
    for event in events:
        live += event.nbytes()
        peak = max(peak, live)
    return peak + saved_bytes.storage_bytes([*module.parameters(), *module.buffers(), *inputs])
