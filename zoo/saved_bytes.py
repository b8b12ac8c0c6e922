#!/usr/bin/env python3
"""Counts what a TorchScript file keeps for backward, with Python's own hooks: the reference for `invact analyze`.

saved_bytes.py FILE.pt SHAPE[:i64] ...      for example: saved_bytes.py bert.pt 4x128:i64
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import sys
import weakref
from collections.abc import Iterable

import torch
from torch import Tensor

THREADS = 2


@dataclasses.dataclass(frozen=True)
class Saved:
    tensors: int  # saved tensors whose storage is no parameter's or buffer's
    storages: int
    bytes: int


class Packed:
    """What a saved tensor becomes in the graph; it dies with the node that holds it."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        # detach: a saved output that held its own node would be a cycle, and never die.
        self.tensor = tensor.detach()


# A rewritten model does not give memory back where hooks might want to see it, unless it is told to.
os.environ["INVACT_RELEASE_UNDER_HOOKS"] = "1"


def use_eager_executor() -> None:
    """What `--executor eager` is: no graph optimization and no profiling, from the first call on."""
    torch._C._jit_set_profiling_mode(False)
    torch._C._set_graph_executor_optimize(False)


def load_for_training(path: pathlib.Path) -> torch.jit.ScriptModule:
    return torch.jit.load(path, map_location="cpu").train()


def count_saved(module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> Saved:
    """Counts by storage what the graph holds when forward has ended, its outputs alive."""
    packed: list[weakref.ref[Packed]] = []

    def pack(tensor: Tensor) -> Packed:
        holder = Packed(tensor)
        packed.append(weakref.ref(holder))
        return holder

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda holder: holder.tensor):
        outputs = module(*inputs)

    # Holders are alive from here on, so that one storage has one address.
    alive = [holder for holder in (reference() for reference in packed) if holder is not None]
    own = {_storage_id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    kept = [holder.tensor for holder in alive if _storage_id(holder.tensor) not in own]
    del outputs
    return Saved(len(kept), len({_storage_id(tensor) for tensor in kept}), storage_bytes(kept))


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Of the distinct storages under these tensors."""
    return sum({_storage_id(tensor): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


def _storage_id(tensor: Tensor) -> int:
    """The storage itself, not its memory: two empty storages share the null pointer."""
    return tensor.untyped_storage()._cdata


def _sample(text: str) -> Tensor:
    shape, _, dtype = text.partition(":")
    extents = [int(extent) for extent in shape.split("x")]
    if dtype == "i64":
        return torch.randint(0, 2, extents)
    if dtype in ("", "f32"):
        return torch.randn(extents)
    raise argparse.ArgumentTypeError(f"'{text}': the dtype is f32 or i64")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("inputs", nargs="+", type=_sample, metavar="SHAPE[:i64]")
    parser.add_argument("--library", help="operator library to load first (libinvact_kernels.so)")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    use_eager_executor()
    if options.library:
        torch.ops.load_library(options.library)
    saved = count_saved(load_for_training(options.file), tuple(options.inputs))
    json.dump(dataclasses.asdict(saved), sys.stdout)
    print()


if __name__ == "__main__":
    main()
