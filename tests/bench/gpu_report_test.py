#!/usr/bin/env python3
"""`make gpu-check` as far as no GPU is needed: its document, composed of a recorded run, and its word where there is none.

    gpu_report_test.py BENCH    BENCH: the built invact_kernels_bench

recorded/bench.json is a run on a CPU; its rows are taken for a GPU's here, so that its figures say nothing about one.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from typing import Any

import jsonschema

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BENCH = ""

PASSED = {"name": "Equal", "status": "RUN", "result": "COMPLETED"}
SKIPPED = {"name": "Large", "status": "RUN", "result": "SKIPPED"}
FAILED = {"name": "Graph", "status": "RUN", "result": "COMPLETED", "failures": [{"failure": "..."}]}
CLEAN_LOG = "========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 0 errors\n"
DIRTY_LOG = "========= Invalid __global__ write\n========= ERROR SUMMARY: 3 errors\nexit 99\n"


def recorded() -> str:
    """The recorded run as a GPU's: names with another device and no threads."""
    text = (HERE / "recorded" / "bench.json").read_text()
    return re.sub(r"/cpu(/n=\d+)?(/threads=1)?", r"/cuda\1", text)


def junit(**status_by_name: str) -> str:
    cases = "".join(f'<testcase name="{name}" status="{status}"/>' for name, status in status_by_name.items())
    return f"<testsuite>{cases}</testsuite>"


class Report(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "tests").mkdir()
        (self.folder / "bench.json").write_text(recorded())
        self.write_tests([PASSED, SKIPPED], "run")

    def write_tests(self, tests: list[dict[str, Any]], status: str) -> None:
        document = {"testsuites": [{"name": "Gpu", "testsuite": tests}]}
        (self.folder / "tests" / "gpu_tests.json").write_text(json.dumps(document))
        (self.folder / "tests.xml").write_text(junit(gpu_tests=status))

    def compose(self, expected_exit: int = 0) -> dict[str, Any]:
        argv = [sys.executable, "-B", str(ROOT / "scripts" / "gpu_report.py"), "--results", str(self.folder)]
        argv += ["--commit", "abc", "--date", "2026-01-02T03:04:05Z", "--device", "Pretended", "--driver", "1.2"]
        argv += ["--memory-mib", "81559", "--compute-capability", "9.0"]
        done = subprocess.run(argv, capture_output=True, text=True)
        self.assertEqual(done.returncode, expected_exit, done.stderr)
        document = json.loads(done.stdout)
        jsonschema.validate(document, json.loads((ROOT / "schemas" / "gpu_check.schema.json").read_text()))
        return document

    def test_says_where_and_of_what(self) -> None:
        document = self.compose()
        self.assertEqual(document["commit"], "abc")
        self.assertEqual(document["device"]["memory_mib"], 81559)
        self.assertEqual(document["pairs"], 15)

    def test_every_operator_has_its_times(self) -> None:
        operators = {row["operator"]: row for row in self.compose()["operators"]}
        self.assertEqual(sorted(operators), ["elu", "gelu"])
        self.assertIsNone(operators["elu"]["forward"])
        self.assertEqual(operators["gelu"]["element_count"], 1 << 20)
        backward = operators["gelu"]["backward"]
        self.assertEqual(backward["beside"], "at::gelu_backward_out")
        row = next(r for r in json.loads(recorded())["benchmarks"] if r["name"].startswith("gelu/backward"))
        self.assertEqual(backward["ratio_to_aten"]["median"], row["ratio"])
        fraction = backward["copy_bandwidth_fraction"]
        self.assertEqual(fraction["median"], 1 / row["copy_units"])
        self.assertLessEqual(fraction["lower"], fraction["upper"])

    def test_goals_are_counted(self) -> None:
        document = self.compose()
        goals = [
            goal
            for row in document["operators"]
            for direction in ("forward", "backward")
            if row[direction]
            for goal in row[direction]["goals"]
        ]
        self.assertEqual(len(goals), 3)
        self.assertEqual(document["goals"]["met"] + len(document["goals"]["missed"]), len(goals))

    def test_training_memory_stands_beside_its_prediction(self) -> None:
        rows = {row["operator"]: row for row in self.compose()["training_memory"]}
        self.assertEqual(sorted(rows), ["elu", "gelu"])
        self.assertTrue(rows["gelu"]["peak_as_predicted"])
        self.assertLess(rows["gelu"]["invact"]["peak_bytes"], rows["gelu"]["aten"]["peak_bytes"])

    def test_tests_are_counted_one_by_one(self) -> None:
        self.assertEqual(self.compose()["tests"], {"passed": 1, "failed": 0, "skipped": 1, "failures": []})
        self.write_tests([PASSED, FAILED], "fail")
        found = self.compose(expected_exit=1)["tests"]
        self.assertEqual(found, {"passed": 1, "failed": 1, "skipped": 0, "failures": ["gpu_tests: Gpu.Graph"]})

    def test_a_program_that_died_is_a_failure(self) -> None:
        (self.folder / "tests" / "gpu_tests.json").unlink()
        (self.folder / "tests.xml").write_text(junit(gpu_tests="fail"))
        found = self.compose(expected_exit=1)["tests"]
        self.assertEqual((found["failed"], found["failures"]), (1, ["gpu_tests: ended without a result"]))

    def test_the_sanitizer(self) -> None:
        document = self.compose()
        self.assertIsNone(document["sanitizer"])
        self.assertEqual(document["sanitizer_reason"], "compute-sanitizer is not installed")

        log = self.folder / "sanitizer.gpu_tests.log"
        log.write_text(CLEAN_LOG)
        document = self.compose()
        self.assertEqual(document["sanitizer"]["errors"], 0)
        self.assertIsNone(document["sanitizer_reason"])

        log.write_text(DIRTY_LOG)
        self.assertEqual(self.compose(expected_exit=1)["sanitizer"]["errors"], 3)

        log.write_text("========= Error: Device not supported\nexit 1\n")
        document = self.compose()
        self.assertIsNone(document["sanitizer"])
        self.assertIn("no summary", document["sanitizer_reason"])

        log.write_text("========= COMPUTE-SANITIZER\nexit 124\n")
        self.assertIn("did not finish", self.compose()["sanitizer_reason"])


class Bench(unittest.TestCase):
    def test_writes_what_was_recorded(self) -> None:
        argv = [BENCH, "--pairs=2", "--benchmark_filter=^elu/backward/bfloat16/cpu/n=4096/threads=1/|^training_memory/elu/"]
        done = subprocess.run([*argv, "--benchmark_format=json"], capture_output=True, text=True, check=True)
        fresh = json.loads(done.stdout)
        self.assertEqual(fresh["context"]["pairs"], "2")
        old = json.loads((HERE / "recorded" / "bench.json").read_text())
        for name in ("elu/backward", "training_memory/elu"):
            keys = [
                next(sorted(row) for row in run["benchmarks"] if row["name"].startswith(name)) for run in (fresh, old)
            ]
            self.assertEqual(*keys, f"record {name} anew")
        self.assertIn(" goals met", done.stderr)

    def test_refuses_a_malformed_number_of_pairs(self) -> None:
        done = subprocess.run([BENCH, "--pairs=few"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--pairs=few", done.stderr)


class WithoutGpu(unittest.TestCase):
    def test_one_sentence_and_the_environments_exit_code(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            failing = pathlib.Path(folder) / "nvidia-smi"
            failing.write_text("#!/bin/sh\nexit 9\n")
            failing.chmod(0o755)
            done = subprocess.run(
                [str(ROOT / "scripts" / "gpu_check.sh")],
                capture_output=True,
                text=True,
                env={"PATH": f"{folder}:/usr/bin:/bin"},
            )
        self.assertEqual((done.returncode, done.stdout), (5, ""))
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn("no NVIDIA GPU here", done.stderr)


if __name__ == "__main__":
    BENCH = sys.argv.pop(1)
    unittest.main()
