#!/usr/bin/env python3
"""What a zoo model's file keeps under TorchScript's own executors, by Python's hooks, after three warm-up steps.

executor_bytes.py NAME FILE.pt LIBRARY.so      NAME: whose inputs to use

"default" is what a user gets; "profiling mode off" is torch._C._jit_set_profiling_mode(False). Each is a process of its
own: a mode holds from the first call on.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "zoo"))

import models  # noqa: E402  (found through the path above, as is the next)
import saved_bytes  # noqa: E402

WARM_UP_STEPS = 3


def measure(name: str, path: pathlib.Path, profiling: bool) -> int:
    torch._C._jit_set_profiling_mode(profiling)
    torch.manual_seed(models.SEED)
    module = saved_bytes.load_for_training(path)
    example = models.MODELS[name].input.sample()
    for _ in range(WARM_UP_STEPS):
        module(example).sum().backward()
    return saved_bytes.count_saved(module, (example,)).bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(models.MODELS))
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("library", type=pathlib.Path)
    parser.add_argument("--profiling", choices=["on", "off"], help="measure this mode, in this process")
    options = parser.parse_args()
    if options.profiling:
        torch.set_num_threads(saved_bytes.THREADS)
        torch.ops.load_library(str(options.library))
        print(measure(options.name, options.file, options.profiling == "on"))
        return
    for mode, title in (("on", "default"), ("off", "profiling mode off")):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *sys.argv, "--profiling", mode], capture_output=True, text=True, check=True
        )
        print(f"{title:<20}{int(done.stdout) / 2**20:8.1f} MiB")


if __name__ == "__main__":
    main()
