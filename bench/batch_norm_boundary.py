#!/usr/bin/env python3
"""What a batch norm and the activation behind it cost in backward, run again or from their output.

    bench/batch_norm_boundary.py [--library build/lib/libinvact_kernels.so] [--runs 31] [--threads 1]

Run again: the normalization with known statistics and the activation. From the output: what the activation's gradient
from its output takes above ATen's; batch norm's own takes nothing more (invact::batch_norm), but for the inverse of the
activation, which is not counted. In units of a copy of the tensor, one process, in turn; median (quartiles).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional

SHAPE = (4, 96, 112, 112)  # efficientnet_b0's second block, a batch of 4


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def gradient_of(activation: Callable[[torch.Tensor], torch.Tensor], value: torch.Tensor) -> Callable[[], object]:
    leaf = value.clone().requires_grad_()
    output = activation(leaf)
    cotangent = torch.randn_like(output)
    return lambda: torch.autograd.grad(output, leaf, cotangent, retain_graph=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default="build/lib/libinvact_kernels.so")
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.ops.load_library(options.library)
    ops = torch.ops.invact

    channels = SHAPE[1]
    x, weight, bias = torch.randn(SHAPE), torch.rand(channels) + 0.5, torch.randn(channels)
    statistics_of_run = (torch.zeros(channels), torch.ones(channels))
    settings = (True, 0.1, 1e-5, True)
    value, mean, invstd = ops._batch_norm_forward(x, weight, bias, *statistics_of_run, *settings)
    work = {
        "copy": x.clone,
        "batch norm": lambda: ops._batch_norm_forward(x, weight, bias, *statistics_of_run, *settings),
        "batch norm again": lambda: ops._batch_norm_again(x, weight, bias, mean, invstd, *settings),
    }
    pairs = {"leaky_relu": (functional.leaky_relu, ops.leaky_relu), "silu": (functional.silu, ops.silu)}
    for name, (atens, ours) in pairs.items():
        work[f"{name} again"] = lambda atens=atens: atens(value)
        work[f"{name} backward, ATen"] = gradient_of(atens, value)
        work[f"{name} backward, from output"] = gradient_of(ours, value)
    times: dict[str, list[float]] = {name: [] for name in work}
    for run in range(options.runs + 1):
        for name, job in work.items():
            elapsed = seconds(job)
            if run > 0:
                times[name].append(elapsed)

    copies = times["copy"]
    units = {name: [own / copy for own, copy in zip(column, copies, strict=True)] for name, column in times.items()}
    print(f"{'x'.join(map(str, SHAPE))} float32, {options.threads} threads, {options.runs} runs; units of a copy")
    for name, column in units.items():
        lower, median, upper = statistics.quantiles(column, n=4)
        print(f"  {name:34}{median:5.2f} ({lower:.2f} to {upper:.2f})")
    again = statistics.median(units["batch norm again"])
    print(f"  {'no activation: again':34}{again:5.2f}, from output 0.00")
    for name in pairs:
        extra = statistics.median(
            ours - atens
            for ours, atens in zip(units[f"{name} backward, from output"], units[f"{name} backward, ATen"], strict=True)
        )
        both = statistics.median(
            norm + own for norm, own in zip(units["batch norm again"], units[f"{name} again"], strict=True)
        )
        print(f"  {name + ': again':34}{both:5.2f}, from output {extra:.2f} and the inverse")


if __name__ == "__main__":
    main()
