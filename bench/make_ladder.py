#!/usr/bin/env python3
"""Makes a traced model of any depth, for figures that must grow with the number of graph nodes alone.

    bench/make_ladder.py BLOCKS OUT.pt [--rows 256] [--columns 128]

A block is layer norm, linear, GELU, linear and a residual sum; it prints how many nodes the whole graph has.
"""

from __future__ import annotations

import argparse
import pathlib
import warnings

import torch
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, columns: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(columns)
        self.up = nn.Linear(columns, columns)
        self.act = nn.GELU()
        self.down = nn.Linear(columns, columns)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(self.act(self.up(self.norm(x))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blocks", type=int)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--columns", type=int, default=128)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = nn.Sequential(*(Block(options.columns) for _ in range(options.blocks))).train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript's deprecation
        traced = torch.jit.trace(model, torch.randn(options.rows, options.columns), check_trace=False)
    torch.jit.save(traced, options.out)
    print(f"{options.out}: {sum(1 for _ in traced.inlined_graph.nodes())} nodes")


if __name__ == "__main__":
    main()
