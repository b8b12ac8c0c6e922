#!/usr/bin/env python3
"""Composes the document of `make gpu-check` from what its steps left behind, and prints it.

    scripts/gpu_report.py --results FOLDER --commit C --date D --device N --driver V --memory-mib M --compute-capability CC

FOLDER holds bench.json (invact_kernels_bench), tests.xml (ctest), tests/*.json (GoogleTest) and, where there was a
compute-sanitizer, sanitizer.*.log. Exit 1: a test failed or the sanitizer found something. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import sys
import xml.etree.ElementTree
from collections.abc import Iterator
from typing import Any

SCHEMA_VERSION = "1.0"
Json = dict[str, Any]


def read_tests(folder: pathlib.Path) -> Json:
    """GoogleTest's results by test; a program that ended without leaving any counts as one failed test."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures = []
    reported = set()
    for path in sorted((folder / "tests").glob("*.json")):
        reported.add(path.stem)
        for suite in json.loads(path.read_text())["testsuites"]:
            for test in suite["testsuite"]:
                if "failures" in test:
                    counts["failed"] += 1
                    failures.append(f"{path.stem}: {suite['name']}.{test['name']}")
                else:
                    counts["skipped" if test["result"] == "SKIPPED" else "passed"] += 1
    for case in xml.etree.ElementTree.parse(folder / "tests.xml").iter("testcase"):
        if case.get("status") == "fail" and not any(line.startswith(f"{case.get('name')}:") for line in failures):
            counts["failed"] += 1
            what = "exit code" if case.get("name") in reported else "ended without a result"
            failures.append(f"{case.get('name')}: {what}")
    return {**counts, "failures": failures}


def read_sanitizer(folder: pathlib.Path) -> tuple[Json | None, str | None]:
    """The sanitizer's findings, or None and why there are none."""
    logs = sorted(folder.glob("sanitizer.*.log"))
    if not logs:
        return None, "compute-sanitizer is not installed"
    errors = 0
    for log in logs:
        text = log.read_text(errors="replace")
        summaries = re.findall(r"ERROR SUMMARY: (\d+) error", text)
        if re.search(r"^exit 124$", text, re.MULTILINE):
            return None, f"{log.name}: it did not finish in time"
        if not summaries:
            last = text.strip().splitlines()
            return None, f"{log.name}: no summary; it ended with: {last[-1] if last else 'nothing'}"
        errors += sum(map(int, summaries))
    return {"tool": "compute-sanitizer memcheck", "programs": len(logs), "errors": errors}, None


def rows_on_gpu(bench: Json) -> Iterator[tuple[list[str], Json]]:
    """Every row of a GPU with its name's parts, less what Google Benchmark appends."""
    for row in bench["benchmarks"]:
        parts = row["name"].split("/")
        if "cuda" in parts and row.get("run_type", "iteration") == "iteration":
            yield parts, row


def describe_comparison(row: Json) -> Json:
    def quartiles(name: str) -> Json:
        return {"median": row[name], "lower": row[f"{name}_lower"], "upper": row[f"{name}_upper"]}

    copies = quartiles("copy_units")
    goals = [
        {"unit": unit, "at_most": row[f"{counter}_goal"], "met": row[f"{counter}_goal_met"] != 0}
        for counter, unit in (("ratio", "ratio_to_aten"), ("copy_units", "copies_of_the_same_bytes"))
        if f"{counter}_goal" in row
    ]
    return {
        "beside": row["label"],
        "ns_per_element": row["ns_per_element"],
        "aten_ns_per_element": row["aten_ns_per_element"],
        "copy_ns_per_element": row["copy_ns_per_element"],
        "ratio_to_aten": quartiles("ratio"),
        # A time in units of the copy turns over into a share of its bandwidth, and so do the quartiles.
        "copy_bandwidth_fraction": {
            "median": 1 / copies["median"],
            "lower": 1 / copies["upper"],
            "upper": 1 / copies["lower"],
        },
        "goals": goals,
    }


def read_operators(bench: Json) -> list[Json]:
    """A forward of null is ATen's own operator, which is not timed."""
    operators: dict[tuple[str, str, int], Json] = {}
    for parts, row in rows_on_gpu(bench):
        if parts[0] == "training_memory":
            continue
        op, direction, dtype, _, count = parts[:5]
        elements = int(count.removeprefix("n="))
        entry = operators.setdefault(
            (op, dtype, elements),
            {"operator": op, "dtype": dtype, "element_count": elements, "forward": None, "backward": None},
        )
        entry[direction] = describe_comparison(row)
    return sorted(operators.values(), key=lambda entry: (entry["operator"], entry["dtype"], entry["element_count"]))


def read_training_memory(bench: Json) -> list[Json]:
    def side(row: Json, prefix: str) -> Json:
        names = ("kept_bytes", "predicted_kept_bytes", "peak_bytes", "predicted_peak_bytes")
        return {name: int(row[prefix + name]) for name in names}

    found = []
    for parts, row in rows_on_gpu(bench):
        if parts[0] != "training_memory":
            continue
        _, op, dtype, _, blocks = parts[:5]
        sides = {"invact": side(row, ""), "aten": side(row, "aten_")}
        as_predicted = all(s["peak_bytes"] == s["predicted_peak_bytes"] for s in sides.values())
        count = int(blocks.removeprefix("blocks="))
        found.append({"operator": op, "dtype": dtype, "blocks": count, **sides, "peak_as_predicted": as_predicted})
    return found


def count_goals(operators: list[Json]) -> Json:
    met, missed = 0, []
    for entry in operators:
        for direction in ("forward", "backward"):
            for goal in (entry[direction] or {"goals": []})["goals"]:
                if goal["met"]:
                    met += 1
                else:
                    where = f"{entry['operator']}/{direction}/{entry['dtype']}/n={entry['element_count']}"
                    missed.append(f"{where}: {goal['unit']} at most {goal['at_most']:.3g}")
    return {"met": met, "missed": missed}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, required=True)
    for name in ("--commit", "--date", "--device", "--driver", "--compute-capability"):
        parser.add_argument(name, required=True)
    parser.add_argument("--memory-mib", type=int, required=True)
    options = parser.parse_args()

    bench = json.loads((options.results / "bench.json").read_text())
    tests = read_tests(options.results)
    sanitizer, reason = read_sanitizer(options.results)
    operators = read_operators(bench)
    document = {
        "schema_version": SCHEMA_VERSION,
        "date": options.date,
        "commit": options.commit,
        "device": {
            "name": options.device,
            "driver": options.driver,
            "memory_mib": options.memory_mib,
            "compute_capability": options.compute_capability,
        },
        "tests": tests,
        "sanitizer": sanitizer,
        "sanitizer_reason": reason,
        "pairs": int(bench["context"]["pairs"]),
        "operators": operators,
        "training_memory": read_training_memory(bench),
        "goals": count_goals(operators),
    }
    json.dump(document, sys.stdout, indent=1)
    print()
    return 1 if tests["failed"] or (sanitizer and sanitizer["errors"]) else 0


if __name__ == "__main__":
    sys.exit(main())
