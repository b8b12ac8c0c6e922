#!/usr/bin/env python3
"""Trains a rewritten model on two processes: 05_two_processes.py MODEL.invact.pt

Every process loads the file itself; DistributedDataParallel takes the ScriptModule as it takes any module.
"""

import datetime
import sys
import tempfile

import invact  # noqa: F401  (in the workers as well: they import this file)
import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

WORKERS = 2
STEPS = 3


def work(rank: int, path: str, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=WORKERS,
        timeout=datetime.timedelta(seconds=120),
    )
    model = DistributedDataParallel(torch.jit.load(path).train())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    torch.manual_seed(rank)  # each worker has its own part of the data
    images, classes = torch.randn(4, 3, 224, 224), torch.randint(10, (4,))
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), classes)
        loss.backward()
        optimizer.step()
        mean = loss.detach() / WORKERS
        distributed.all_reduce(mean)
        if rank == 0:
            print(f"step {step}  mean loss {mean.item():.6f}", flush=True)
    # The gradients were averaged: the workers' weights are still the same.
    weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    other = weights.clone()
    distributed.broadcast(other, src=0)
    distributed.destroy_process_group()
    if not torch.equal(weights, other):
        raise SystemExit(f"worker {rank}: the weights drifted apart")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.start_processes(work, (sys.argv[1], folder), nprocs=WORKERS, start_method="spawn")


if __name__ == "__main__":
    main()
