#!/usr/bin/env python3
"""Trains a model and its rewrite on the same data: 04_train_in_python.py MODEL.pt MODEL.invact.pt

Prints each step's loss, and what backward was waiting for when forward had ended.
"""

import sys

import invact  # noqa: F401  (registers the operators that the rewritten file uses)
import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 4


class SavedBytes:
    """Counts, by storage, what autograd keeps while the block runs."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
        self._storages: dict[int, int] = {}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._own:
            self._storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    def __enter__(self) -> "SavedBytes":
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)

    def total(self) -> int:
        return sum(self._storages.values())


def train(path: str) -> tuple[list[float], int]:
    module = torch.jit.load(path)
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    torch.manual_seed(0)
    images, classes = torch.randn(4, 3, 224, 224), torch.randint(10, (4,))
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(module(images), classes)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Last, when TorchScript's executor has settled.
    with SavedBytes(module) as saved:
        F.cross_entropy(module(images), classes)
    return losses, saved.total()


def main() -> int:
    # This model has dropout modules with p = 0. TorchScript's default executor would make a copy at each, and take back
    # what the rewrite freed (`invact rewrite` says so).
    torch._C._jit_set_profiling_mode(False)
    (before, kept_before), (after, kept_after) = map(train, sys.argv[1:3])
    for step, (old, new) in enumerate(zip(before, after, strict=True)):
        print(f"step {step}  loss {old:.6f}  {new:.6f}")
    print(f"kept    {kept_before / 2**20:.1f} MiB  {kept_after / 2**20:.1f} MiB")
    same = all(abs(old - new) <= 1e-4 * abs(old) for old, new in zip(before, after, strict=True))
    return 0 if same and kept_after < kept_before else 1


if __name__ == "__main__":
    sys.exit(main())
