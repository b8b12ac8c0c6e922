#!/usr/bin/env python3
"""The table of docs/models.md: what each model of the zoo keeps, rewritten or not, how exactly, and how fast it trains.

    bench/model_table.py [MODEL...] [--pairs 15] [--threads 2] [--out docs/models.md]

Every row is measured here and now: `invact rewrite` and `invact bench` on the traced file (made where it is missing),
and gradients by autograd from Python, in bfloat16 beside float64. Times are of this machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import math
import pathlib
import platform
import subprocess
import sys
import tempfile
import warnings
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "zoo"))

import torch  # noqa: E402  (found through the path above, as are the next five)

import gradients  # noqa: E402
import limits  # noqa: E402
import models  # noqa: E402
import saved_bytes  # noqa: E402
import sixteen_bit  # noqa: E402

MIB = 2**20
SEED = 0


def run(arguments: list[str | pathlib.Path | int]) -> dict[str, Any]:
    """A command of the tool; its JSON document."""
    with tempfile.TemporaryDirectory() as folder:
        document = pathlib.Path(folder) / "out.json"
        argv = [str(argument) for argument in [ROOT / "build/bin/invact", *arguments, "--json", document]]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(argv)}: exit {done.returncode}\n{done.stderr}")
        return json.loads(document.read_text())


def bfloat16_ratio(name: str, work: pathlib.Path) -> float:
    """How much farther the rewritten model's bfloat16 gradient lies from float64's than the original's own."""
    own, rewritten = sixteen_bit.bfloat16_distances(ROOT / "build/bin/invact", name, work, SEED)
    return rewritten / own


class StepMemory(NamedTuple):
    """Of one step, in bytes."""

    peak: int
    at_end: int  # parameters, buffers, inputs and every gradient: no peak is lower, whatever was kept
    gradients: int  # at the end: all of them
    activation_peak: int  # the most that is live at once but parameters and gradients


def step_memory(file: pathlib.Path, arguments: list[str | int]) -> StepMemory:
    timeline = run(["analyze", file, *arguments])["timeline"]
    points = [dict(zip(timeline["columns"], point, strict=True)) for point in timeline["points"]]
    return StepMemory(
        peak=timeline["peak"]["bytes"],
        at_end=sum(points[-1][kind] for kind in ("parameters", "gradients", "saved", "temporaries", "other")),
        gradients=points[-1]["gradients"],
        activation_peak=max(point["saved"] + point["temporaries"] + point["other"] for point in points),
    )


def peak_share(original: pathlib.Path, example: models.Input, work: pathlib.Path) -> str:
    """By how much the step's peak falls, over what is saved less, at the smallest doubling of the batch that keeps four
    times as much as all gradients take: with less, those decide where in backward the peak lies."""
    rewritten = work / "batch.pt"
    for doublings in range(8):
        shape = (example.shape[0] << doublings, *example.shape[1:])
        given = ["--input", dataclasses.replace(example, shape=shape).flag()]
        prediction = run(["rewrite", original, "-o", rewritten, "--force", "--no-verify", *given])["prediction"]
        freed = prediction["saved_bytes_before"] - prediction["saved_bytes_after"]
        before = step_memory(original, given)
        if prediction["saved_bytes_before"] >= 4 * before.gradients:
            return f"{(before.peak - step_memory(rewritten, given).peak) / freed:.2f} at {shape[0]}"
    return f"less than four times the gradients at {shape[0]}"


def row(name: str, options: argparse.Namespace, work: pathlib.Path) -> list[str]:
    original = ROOT / "build" / "zoo" / f"{name}.traced.pt"
    models.make_file(name, "traced", original)
    rewritten, exact = work / f"{name}.pt", work / f"{name}.exact.pt"
    seed_and_threads: list[str | int] = ["--seed", SEED, "--threads", options.threads]
    result = run(["rewrite", original, "-o", rewritten, "--force", *seed_and_threads])
    times = run(["bench", original, rewritten, "--pairs", options.pairs, *seed_and_threads])
    exactly = run(["rewrite", original, "--exact", "-o", exact, "--force", *seed_and_threads])
    predicted, verified = result["prediction"], result["verification"]
    accepted = sum(site["decision"] == "accepted" for site in result["plan"])
    after = predicted["saved_bytes_after"] / MIB
    limit = limits.KEPT_MIB.get(name)
    cells = [
        name,
        f"{predicted['saved_bytes_before'] / MIB:.1f}",
        f"{after:.1f}" if after <= (limit or math.inf) else f"**{after:.1f}**",
        f"{limit:g}" if limit else "",
        f"{exactly['prediction']['saved_bytes_after'] / MIB:.1f}",
        f"{accepted} of {len(result['plan'])}",
    ]
    if verified is None:
        return [*cells, "equal copy", "", "", "", "", "", "", ""]
    largest = max(output["max_rel_error"] for output in verified["outputs"])
    own = verified["reference_distance"]
    time = times["ratio"]
    freed = predicted["saved_bytes_before"] - predicted["saved_bytes_after"]
    before, now = (step_memory(file, seed_and_threads) for file in (original, rewritten))
    peak_fall, peak_room = before.peak - now.peak, min(freed, before.peak - before.at_end)
    return [
        *cells,
        "bit for bit" if largest == 0 else f"{largest:.0e}",
        f"{verified['gradient_distance']:.1e}",
        f"{own:.1e}" if own is not None else "none",
        f"{bfloat16_ratio(name, work):.2f}",
        f"{peak_fall / MIB:.1f} of {peak_room / MIB:.1f}",
        peak_share(original, models.MODELS[name].input, work),
        f"{(before.activation_peak - now.activation_peak) / freed:.2f}",
        f"{time['median']:.3f} ({time['lower_quartile']:.3f} to {time['upper_quartile']:.3f})",
    ]


HEADER = """# What real models keep, before and after

Made by `.venv/bin/python bench/model_table.py --pairs {pairs} --threads {threads}` on {date}, LibTorch {torch},
{machine}, commit {commit}. Traced in train mode, random weights (`zoo/models.py` names every configuration), float32, CPU.

Kept: saved bytes in MiB, which the prediction met to the byte; limit: what was aimed at; exact: after `rewrite --exact`, whose gradients are the original's
bit for bit; sites: accepted of all. Outputs: the largest
difference over the output's largest magnitude. Gradient distance and the original's own from float64: `invact rewrite`'s verification.
bfloat16: the rewritten model's gradient distance from float64 over the original's, both traced in bfloat16, dropout
drawing the same masks in both dtypes; limit 1.2. Peak: by how many MiB the step's peak fell, of how many it could: what is saved less, but no further
than to what every step has at its end, parameters, inputs and all gradients. Share: by how much the peak fell over what is saved less, at the smallest
doubling of the batch that keeps four times as much as all gradients take: with less, those decide where the peak lies. Activations: by how much the most that is live at once but parameters and
gradients fell, over what is saved less. Time: a training step, rewritten over original, {pairs} interleaved pairs, median (quartiles).

"""

COLUMNS = "model|kept|after|limit|exact|sites|outputs|gradient distance|own|bfloat16|peak|share|activations|time".split("|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(models.MODELS), metavar="MODEL")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    saved_bytes.use_eager_executor()
    torch.ops.load_library(str(ROOT / "build/lib/libinvact_kernels.so"))
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as work:
        for name in options.models:
            lines.append(f"| {' | '.join(row(name, options, pathlib.Path(work)))} |")
            print(lines[-1], flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    header = HEADER.format(
        pairs=options.pairs,
        threads=options.threads,
        date=datetime.date.today().isoformat(),
        torch=torch.__version__,
        machine=f"{options.threads} threads of {platform.machine()}",
        commit=commit.strip(),
    )
    if options.out:
        options.out.write_text(header + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
