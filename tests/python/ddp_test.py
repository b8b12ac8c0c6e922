#!/usr/bin/env python3
"""DistributedDataParallel around a rewritten model, two processes on the CPU: ddp_test.py FOLDER (filled by models.py).

Each process loads the rewritten file itself and takes half of a batch; the gradients that DDP averages must be those
of one process on the whole batch. Needs the package `invact`.
"""

from __future__ import annotations

import datetime
import pathlib
import sys
import tempfile
import time

import invact  # noqa: F401  (registers the operators, in the workers as well: they import this file)
import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import models

WORKERS = 2
STEPS = 3
LEARNING_RATE = 0.1
TOLERANCE = 1e-5  # of the gradients' norm: float32 sums in another order
TIMEOUT = datetime.timedelta(seconds=60)


class Held(nn.Module):
    """An ordinary module that holds the TorchScript one, as a training script's own model might."""

    def __init__(self, module: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensor) -> Tensor:
        return self.module(inputs)


def steps(module: nn.Module, batch: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Trains, and returns each step's gradients in one vector."""
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE)
    inputs, classes = batch
    gradients = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), classes).backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in module.parameters()]))
        optimizer.step()
    return gradients


def part(rank: int) -> tuple[Tensor, Tensor]:
    return models.MODELS["mlp"].batch(16, seed=rank)


def work(rank: int, folder: pathlib.Path, shared: pathlib.Path) -> None:
    """One worker: trains on its part, DDP around the ScriptModule and around a holder; its gradients go into a file."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{shared}/rendezvous", rank=rank, world_size=WORKERS, timeout=TIMEOUT
    )
    try:
        wrapped = (models.load(folder, "mlp", rewritten=True), Held(models.load(folder, "mlp", rewritten=True)))
        torch.save([steps(DistributedDataParallel(module), part(rank)) for module in wrapped], shared / f"{rank}.pt")
    finally:
        distributed.destroy_process_group()


def run_workers(folder: pathlib.Path) -> list[list[list[Tensor]]]:
    """Gradients by worker, wrapper and step. Raises where a worker fails or is late; none is left behind."""
    with tempfile.TemporaryDirectory() as shared:
        context = multiprocessing.start_processes(
            work, (folder, pathlib.Path(shared)), nprocs=WORKERS, join=False, start_method="spawn"
        )
        deadline = time.monotonic() + TIMEOUT.total_seconds()
        try:
            while not context.join(timeout=1):  # Raises with the worker's traceback.
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the workers did not end within {TIMEOUT}")
        finally:
            for process in context.processes:
                process.kill()
        return [torch.load(pathlib.Path(shared, f"{rank}.pt")) for rank in range(WORKERS)]


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    parts = [part(rank) for rank in range(WORKERS)]
    whole = torch.cat([inputs for inputs, _ in parts]), torch.cat([classes for _, classes in parts])
    expected = steps(models.load(folder, "mlp", rewritten=True), whole)
    alone = steps(models.load(folder, "mlp", rewritten=True), parts[0])
    failed = 0
    by_worker = run_workers(folder)
    for wrapper, name in enumerate(("the ScriptModule", "a module that holds it")):
        found = [gradients[wrapper] for gradients in by_worker]
        distances = [
            float((gradient - reference).norm() / reference.norm())
            for worker in found
            for gradient, reference in zip(worker, expected, strict=True)
        ]
        same = all(map(torch.equal, *found))
        passed = max(distances) <= TOLERANCE and same
        failed += not passed
        print(
            f"{'ok  ' if passed else 'FAIL'} DDP around {name}: "
            f"distance from one process {max(distances):.1e} (allowed {TOLERANCE:.0e}), workers agree: {same}"
        )
    # What the comparison must be able to see: without averaging, a worker's gradients are far from these.
    unaveraged = float((alone[0] - expected[0]).norm() / expected[0].norm())
    if unaveraged < 100 * TOLERANCE:
        failed += 1
        print(f"FAIL the parts are too alike to tell averaged gradients from others: {unaveraged:.1e}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
