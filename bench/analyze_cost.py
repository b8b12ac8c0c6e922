#!/usr/bin/env python3
"""What `invact analyze` costs beside one forward and backward of the same file.

    bench/analyze_cost.py FILE.pt [--invact build/bin/invact] [--pairs 15]

Each pair runs, in turn: analyze; the same command stopped after loading and hashing (by an input that forward has
not); and, in a fresh process, one forward and backward with the same executor settings and threads. The ratio is
(analyze - load) / step, of wall time and of the processors' time, which other work on the machine touches least.
Traced files only: their inputs' shapes stand in the archive.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

USAGE_ERROR = 2  # the tool's exit code for an unknown input

STEP = """
import sys, time, torch
threads, path, library, *shapes = sys.argv[1:]
torch.set_num_threads(int(threads))
torch._C._jit_set_profiling_mode(False)
torch._C._set_graph_executor_optimize(False)
torch.ops.load_library(library)
module = torch.jit.load(path).train()
inputs = []
for text in shapes:
    dtype, *extents = text.split("x")
    extents = [int(extent) for extent in extents]
    inputs.append(torch.randn(extents) if dtype == "float32" else torch.zeros(extents, dtype=getattr(torch, dtype)))
wall, processor = time.perf_counter(), time.process_time()
outputs = module(*inputs)
outputs.sum().backward()
print(time.perf_counter() - wall, time.process_time() - processor)
"""


class Seconds(NamedTuple):
    wall: float
    processor: float  # of every thread


def processor_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def command_seconds(argv: Sequence[str], expected_exit: int) -> Seconds:
    wall, processor = time.perf_counter(), processor_seconds_of_children()
    done = subprocess.run(argv, capture_output=True, text=True)
    taken = Seconds(time.perf_counter() - wall, processor_seconds_of_children() - processor)
    if done.returncode != expected_exit:
        sys.exit(f"{' '.join(argv)}: exit {done.returncode}, expected {expected_exit}\n{done.stderr}")
    return taken


def step_seconds(arguments: Sequence[str]) -> Seconds:
    done = subprocess.run([sys.executable, "-c", STEP, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"the forward and backward failed:\n{done.stderr}")
    wall, processor = map(float, done.stdout.split())
    return Seconds(wall, processor)


def input_shapes(report: dict[str, Any]) -> list[str]:
    """An analyze document's inputs as "float32x4x3x224x224"."""
    return ["x".join([row["dtype"], *map(str, row["shape"])]) for row in report["inputs"]]


def describe(values: Sequence[float], unit: str) -> str:
    lower, median, upper = statistics.quantiles(values, n=4)
    return f"median {median:.2f}{unit} (quartiles {lower:.2f} to {upper:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--invact", type=pathlib.Path, default=pathlib.Path("build/bin/invact"))
    parser.add_argument("--library", type=pathlib.Path, default=pathlib.Path("build/lib/libinvact_kernels.so"))
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    analyze = [str(options.invact), "analyze", str(options.file), "--threads", str(options.threads)]
    shown = subprocess.run([*analyze, "--json", "-"], capture_output=True, text=True, check=True)
    shapes = input_shapes(json.loads(shown.stdout))
    step = [str(options.threads), str(options.file), str(options.library), *shapes]

    rows = []
    for _ in range(options.pairs):
        whole = command_seconds(analyze, 0)
        load = command_seconds([*analyze, "--input", "no_such_argument=1"], USAGE_ERROR)
        rows.append((whole, load, step_seconds(step)))
    print(f"{options.file}, {options.pairs} interleaved pairs, {options.threads} threads")
    for clock in Seconds._fields:
        times = [tuple(getattr(seconds, clock) for seconds in row) for row in rows]
        print(f" {clock} time")
        for name, column in zip(("analyze", "load and hash", "forward+backward"), zip(*times, strict=True), strict=True):
            print(f"  {name:18} {describe(column, ' s')}")
        print(f"  {'ratio':18} {describe([(whole - load) / step for whole, load, step in times], '')}")


if __name__ == "__main__":
    main()
