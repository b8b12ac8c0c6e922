#!/usr/bin/env python3
"""The tool on one real model, end to end, against what Python's own hooks and autograd say.

    zoo_test.py --invact BIN --library LIB.so NAME traced|scripted FILE.pt

Prints one line per check and exits 1 when one fails; a failed check does not stop the others.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile
from typing import Any

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "zoo"))

import gradients  # noqa: E402  (found through the path above)
import limits  # noqa: E402
import models  # noqa: E402
import peak_bytes  # noqa: E402
import saved_bytes  # noqa: E402
import sixteen_bit  # noqa: E402
import validate_json  # noqa: E402

SEED = 0
MIB = 2**20
PEAK_SLACK = 0.01  # relative; both sides run the same step in processes of their own
GRADIENT_LIMIT = 1e-5  # float32; or twice the original's own distance from its float64 gradient

# Models whose GELU is written out, or whose linears read a norm's result transposed: what replaces them rounds
# otherwise, and outputs may differ by as much as gradients may.
ROUNDED_OTHERWISE = {"gpt2", "gpt2_dropout", "t5_encoder", "vit_b_16", "mixer_s16_224"}

# Models that do not run in float64: a constant of the trace is float32 where both sides of a product must agree.
FLOAT32_ALONE = {"t5_encoder"}


class Zoo:
    """One model's run: the commands, and the list of what failed."""

    def __init__(self, invact: pathlib.Path, library: pathlib.Path, work: pathlib.Path, input_flags: list[str]) -> None:
        self.invact = invact
        self.library = library
        self.work = work
        self.input_flags = input_flags
        self.failures: list[str] = []

    def check(self, name: str, passed: bool, detail: str = "") -> None:
        print(f"{'ok  ' if passed else 'FAIL'} {name}{': ' if detail else ''}{detail}", flush=True)
        if not passed:
            self.failures.append(name)

    def equal(self, name: str, actual: Any, expected: Any) -> None:
        self.check(name, actual == expected, f"{actual}" + ("" if actual == expected else f", expected {expected}"))

    def run(self, label: str, command: str, *arguments: str | pathlib.Path) -> dict[str, Any]:
        """Runs a subcommand, checks its exit code and its document, and returns the document."""
        document = self.work / f"{label}.json"
        argv = [
            self.invact,
            command,
            *arguments,
            *self.input_flags,
            "--seed",
            SEED,
            "--threads",
            saved_bytes.THREADS,
            "--json",
            document,
        ]
        done = subprocess.run([str(argument) for argument in argv], capture_output=True, text=True)
        self.check(
            f"{label}: exit 0",
            done.returncode == 0,
            "" if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()}",
        )
        if not document.exists():
            raise SystemExit(f"{label}: no document written; the remaining checks need it")
        content = json.loads(document.read_text())
        found = validate_json.faults(command, content)
        self.check(f"{label}: document follows its schema", not found, "; ".join(found[:3]))
        return content


def count_in_python(path: pathlib.Path, example: torch.Tensor) -> saved_bytes.Saved:
    torch.manual_seed(SEED)
    return saved_bytes.count_saved(saved_bytes.load_for_training(path), (example,))


def sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def code_in(path: pathlib.Path) -> dict[str, bytes]:
    """The TorchScript sources in an archive, by path below its top folder."""
    with zipfile.ZipFile(path) as archive:
        return {
            name.split("/", 1)[1]: archive.read(name)
            for name in archive.namelist()
            if "/code/" in name and name.endswith(".py")
        }


def accepted(sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [site for site in sites if site["decision"] == "accepted"]


def check_analysis(zoo: Zoo, model: pathlib.Path, counted: saved_bytes.Saved) -> dict[str, Any]:
    report = zoo.run("analyze", "analyze", model)
    totals = report["totals"]
    zoo.equal("analyze: saved bytes are Python's", totals["saved_bytes"], counted.bytes)
    zoo.equal("analyze: saved storages are Python's", totals["saved_storages"], counted.storages)
    zoo.equal("analyze: saved tensors are Python's", totals["saved_tensors"], counted.tensors)
    zoo.equal("analyze: every byte belongs to a module", totals["unattributed_bytes"], 0)
    unexplained = [site["id"] for site in report["sites"] if site["decision"] == "rejected" and not site["reason"]]
    zoo.check("analyze: every rejected site has a reason", not unexplained, f"{unexplained or ''}")
    return report


def check_timeline(zoo: Zoo, report: dict[str, Any], model: pathlib.Path, example: torch.Tensor) -> None:
    timeline = report["timeline"]
    peak = timeline["peak"]["bytes"]
    measured = peak_bytes.measure_peak(saved_bytes.load_for_training(model), (example,))
    zoo.check(
        "timeline: the peak is the profiler's",
        abs(peak - measured) <= PEAK_SLACK * measured,
        f"{peak / MIB:.2f} MiB, measured {measured / MIB:.2f}",
    )
    ends = [row for row in timeline["points"] if row[0] <= timeline["forward_end_ns"]]
    live = dict(zip(timeline["columns"], ends[-1], strict=True))["saved"]
    saved = report["totals"]["saved_bytes"]
    released = {row["storage"] for row in timeline["releases"]}
    before = sum(row["bytes"] for row in report["storages"] if row["id"] not in released)
    zoo.check(
        "timeline: what lives when forward ends is what is saved",
        saved - before <= live <= saved * (1 + PEAK_SLACK),
        f"{live / MIB:.2f} of {saved / MIB:.2f} MiB, {before / MIB:.2f} of which the step did not make",
    )
    # Inputs, and constants that a trace holds, are there before the step and after it.
    inputs = sum(row["bytes"] for row in report["inputs"])
    zoo.check(
        "timeline: every other kept storage is seen to be released",
        before <= inputs + PEAK_SLACK * saved,
        f"{len(released)} of {len(report['storages'])} storages; inputs {inputs / MIB:.2f} MiB",
    )


def check_duplicates(zoo: Zoo, report: dict[str, Any]) -> None:
    storages = {row["id"]: row["bytes"] for row in report["storages"]}
    rows = report["duplicates"]
    by_kind: dict[str, int] = {}
    for row in rows:
        by_kind[row["kind"]] = by_kind.get(row["kind"], 0) + row["bytes"]
    zoo.check(
        "duplicates: each is a kept storage, once, and what tells it is kept",
        len({row["storage"] for row in rows}) == len(rows)
        and all(row["bytes"] <= storages.get(row["storage"], -1) for row in rows)
        and all(kept in storages for row in rows for kept in row["kept_storages"]),
        ", ".join(f"{kind} {count / MIB:.1f} MiB" for kind, count in sorted(by_kind.items())),
    )
    zoo.equal("duplicates: they sum to the total", sum(by_kind.values()), report["totals"]["duplicate_bytes"])


def check_rewrite(
    zoo: Zoo,
    name: str,
    form: str,
    model: pathlib.Path,
    rewritten: pathlib.Path,
    before: saved_bytes.Saved,
    example: torch.Tensor,
) -> None:
    result = zoo.run("rewrite", "rewrite", model, "-o", rewritten)
    predicted = result["prediction"]
    verified = zoo.run("verify", "verify", model, rewritten)
    after = count_in_python(rewritten, example)
    zoo.equal("rewrite: bytes before are Python's", predicted["saved_bytes_before"], before.bytes)
    zoo.equal(
        "rewrite: prediction is what verify measures", predicted["saved_bytes_after"], verified["saved_bytes_after"]
    )
    zoo.equal("rewrite: prediction is what Python counts", predicted["saved_bytes_after"], after.bytes)
    zoo.check("verify: passed", verified["passed"])
    zoo.equal("rewrite: digest of the written file", result["output"]["sha256"], sha256(rewritten))
    if form in ("traced", "scripted"):  # of a small form, the sites themselves are listed
        zoo.check(
            "rewrite: keeps less",
            after.bytes < before.bytes,
            f"{before.bytes / MIB:.1f} -> {after.bytes / MIB:.1f} MiB, {len(accepted(result['plan']))} sites",
        )
    if name in limits.KEPT_MIB:
        limit = limits.KEPT_SCRIPTED_MIB.get(name, limits.KEPT_MIB[name]) if form == "scripted" else limits.KEPT_MIB[name]
        zoo.check(
            "rewrite: keeps no more than it may", after.bytes <= limit * MIB, f"{after.bytes / MIB:.2f} of {limit} MiB"
        )


def check_exact(zoo: Zoo, name: str, model: pathlib.Path, example: torch.Tensor) -> None:
    """Every bit of every gradient, by the tool's own comparison and by Python's."""
    rewritten = zoo.work / "exact.pt"
    result = zoo.run("exact", "rewrite", model, "--exact", "-o", rewritten)
    zoo.equal("exact: gradient distance", result["verification"]["gradient_distance"], 0)
    after = count_in_python(rewritten, example)
    zoo.equal("exact: prediction is what Python counts", result["prediction"]["saved_bytes_after"], after.bytes)
    original = gradients.run_step(model, (example,), SEED, torch.float32)
    other = gradients.run_step(rewritten, (example,), SEED, torch.float32)
    zoo.check("exact: same outputs", all(map(torch.equal, original.outputs, other.outputs)))
    found, worst = gradients.distance(original.gradients, other.gradients)
    zoo.check("exact: same gradients", found == 0, f"{found:.2e} at {worst}" if found else "")
    if name in limits.KEPT_MIB:
        limit = limits.KEPT_MIB[name] * limits.EXACT_SHARE
        zoo.check(
            "exact: keeps no more than it may", after.bytes <= limit * MIB, f"{after.bytes / MIB:.2f} of {limit:.2f} MiB"
        )


def check_twice(zoo: Zoo, rewritten: pathlib.Path) -> None:
    twice = zoo.work / "twice.pt"
    result = zoo.run("rewrite again", "rewrite", rewritten, "-o", twice)
    zoo.equal("rewrite again: accepts nothing", len(accepted(result["plan"])), 0)
    zoo.check("rewrite again: same code", code_in(twice) == code_in(rewritten))


def check_same_state(zoo: Zoo, label: str, first: pathlib.Path, second: pathlib.Path) -> None:
    one, other = (saved_bytes.load_for_training(path).state_dict() for path in (first, second))
    zoo.check(f"{label}: same keys in the same order", list(one) == list(other))
    zoo.check(f"{label}: same values", all(map(torch.equal, one.values(), other.values())))


def check_restore(zoo: Zoo, model: pathlib.Path, rewritten: pathlib.Path) -> None:
    restored = zoo.work / "restored.pt"
    zoo.run("restore", "rewrite", "--restore", rewritten, "-o", restored, "--no-verify")
    zoo.check("restore: the original's code", code_in(restored) == code_in(model))
    check_same_state(zoo, "restore: state_dict of the rewritten one", rewritten, restored)


def check_state(zoo: Zoo, model: pathlib.Path, rewritten: pathlib.Path) -> None:
    check_same_state(zoo, "state_dict", model, rewritten)
    for source, target in ((model, rewritten), (rewritten, model)):
        loaded = saved_bytes.load_for_training(target)
        loaded.load_state_dict(saved_bytes.load_for_training(source).state_dict(), strict=True)


def check_outputs(zoo: Zoo, name: str, original: gradients.Step, other: gradients.Step) -> None:
    zoo.equal("forward: number of outputs", len(other.outputs), len(original.outputs))
    if name not in ROUNDED_OTHERWISE:
        zoo.check("forward: bit-identical", all(map(torch.equal, original.outputs, other.outputs)))
        return
    differences = [
        ((one - two).abs().max() / one.abs().max()).item()
        for one, two in zip(original.outputs, other.outputs, strict=True)
    ]
    zoo.check("forward: as close as gradients", max(differences) <= GRADIENT_LIMIT, f"{max(differences):.2e}")


def check_gradients(zoo: Zoo, name: str, model: pathlib.Path, rewritten: pathlib.Path, example: torch.Tensor) -> None:
    original = gradients.run_step(model, (example,), SEED, torch.float32)
    other = gradients.run_step(rewritten, (example,), SEED, torch.float32)
    check_outputs(zoo, name, original, other)
    check_state(zoo, model, rewritten)
    found, worst = gradients.distance(original.gradients, other.gradients)
    own = 0.0
    if name not in FLOAT32_ALONE:
        reference = gradients.run_step(model, (example,), SEED, torch.float64)
        own, _ = gradients.distance(reference.gradients, original.gradients)
    zoo.check(
        "gradients: distance",
        found <= max(GRADIENT_LIMIT, 2 * own),
        f"{found:.2e} at {worst}; the original's own from float64: {own:.2e}",
    )


def check_bfloat16(zoo: Zoo, name: str) -> None:
    own, rewritten = sixteen_bit.bfloat16_distances(zoo.invact, name, zoo.work, SEED)
    zoo.check(
        "bfloat16: gradients no further from float64's than they may be",
        0 < rewritten <= limits.BFLOAT16_RATIO * own,
        f"{rewritten:.2e}, the original's own {own:.2e}",
    )


def check_default_executor(zoo: Zoo, name: str, rewritten: pathlib.Path) -> None:
    script = pathlib.Path(__file__).with_name("train_two_steps.py")
    done = subprocess.run([sys.executable, script, zoo.library, rewritten, name], capture_output=True, text=True)
    zoo.check(
        "default executor: trains two steps", done.returncode == 0, done.stderr.strip() if done.returncode else ""
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--invact", type=pathlib.Path, required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("name", choices=sorted(models.MODELS))
    parser.add_argument("form", choices=["traced", "scripted"])
    parser.add_argument("file", type=pathlib.Path)
    options = parser.parse_args()

    torch.set_num_threads(saved_bytes.THREADS)
    saved_bytes.use_eager_executor()
    torch.ops.load_library(str(options.library))
    torch.manual_seed(SEED)
    entry = models.MODELS[options.name]
    example = entry.input.sample()
    # A traced file carries its inputs' shapes; the scripted one needs the flag.
    flags = ["--input", entry.input.flag()] if options.form == "scripted" else []
    digest = sha256(options.file)
    # Beside the model: a rewritten file is as large as it, and /tmp may be small.
    with tempfile.TemporaryDirectory(dir=options.file.parent, prefix="work.") as work:
        zoo = Zoo(options.invact, options.library, pathlib.Path(work), flags)
        rewritten = zoo.work / "rewritten.pt"
        before = count_in_python(options.file, example)
        report = check_analysis(zoo, options.file, before)
        check_timeline(zoo, report, options.file, example)
        check_duplicates(zoo, report)
        check_rewrite(zoo, options.name, options.form, options.file, rewritten, before, example)
        check_twice(zoo, rewritten)
        check_restore(zoo, options.file, rewritten)
        check_gradients(zoo, options.name, options.file, rewritten, example)
        if options.form == "traced":
            check_exact(zoo, options.name, options.file, example)
            if options.name in limits.BFLOAT16:
                check_bfloat16(zoo, options.name)
        check_default_executor(zoo, options.name, rewritten)
        zoo.equal("the input file is unchanged", sha256(options.file), digest)
    print(f"{len(zoo.failures)} checks failed")
    return 1 if zoo.failures else 0


if __name__ == "__main__":
    sys.exit(main())
