#!/usr/bin/env python3
"""The HTML report in headless Chromium: it loads without an error, its numbers are the document's, search, sort and keys work, and
names cannot break out of it. Screenshots stay in the folder for people to look at.

page_test.py --make-page PROGRAM --folder FOLDER [--chromium PROGRAM]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "zoo"))

import synthetic_report  # noqa: E402
import validate_json  # noqa: E402

_MAX_PAGE_BYTES = 2_000_000
_TIMEOUT_S = 240
_BROWSERS = 4  # A start of Chromium waits more than it computes.
_CHECK = re.compile(r'<pre id="invact-check">(.*?)</pre>', re.DOTALL)
# Before the page's own scripts, so that none of their errors is missed.
_WATCH = """<head><script>
window.invactErrors = [];
for (const kind of ["error", "unhandledrejection", "securitypolicyviolation"]) {
  addEventListener(kind, (event) => window.invactErrors.push(
    `${kind}: ${event.message ?? event.reason ?? event.violatedDirective}`), true);
}
</script>"""


class Browser:
    def __init__(self, program: str) -> None:
        self._program = program

    def _run(self, page: pathlib.Path, size: tuple[int, int], *flags: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory(prefix="invact-chromium-") as profile:
            command = [
                self._program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--no-first-run",
                "--hide-scrollbars",
                "--enable-logging=stderr",
                "--v=0",
                "--virtual-time-budget=20000",
                f"--user-data-dir={profile}",
                f"--window-size={size[0]},{size[1]}",
                *flags,
                page.as_uri(),
            ]
            try:
                return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
            except subprocess.TimeoutExpired as expired:
                raise SystemExit(f"Chromium did not finish {page.name} within {_TIMEOUT_S} s: {expired.stderr}") from expired

    def check(self, page: pathlib.Path, width: int) -> dict[str, Any]:
        """What page_check.js saw; console messages count as errors."""
        text = page.read_text()
        watched = page.with_suffix(".check.html")
        check = f'<script type="module">{(HERE / "page_check.js").read_text()}</script></body>'
        watched.write_text(text.replace("<head>", _WATCH, 1).replace("</body>", check, 1))
        run = self._run(watched, (width, 900), "--dump-dom")
        found = _CHECK.search(run.stdout)
        console = [line for line in run.stderr.splitlines() if ":CONSOLE" in line]
        if not found:
            raise SystemExit(
                f"{page.name}: the check within the page did not finish (exit {run.returncode}).\n"
                + "\n".join(console or run.stderr.splitlines()[-20:])
            )
        seen = json.loads(html.unescape(found.group(1)))
        seen["errors"] += console
        return seen

    def screenshot(self, page: pathlib.Path, name: str, size: tuple[int, int], *flags: str) -> None:
        picture = page.with_name(name)
        picture.unlink(missing_ok=True)
        run = self._run(page, size, f"--screenshot={picture}", *flags)
        if not picture.exists():
            raise SystemExit(f"No screenshot {picture} (exit {run.returncode}): {run.stderr[-2000:]}")


class PageTest:
    def __init__(self, browser: Browser, make_page: str, folder: pathlib.Path) -> None:
        self.browser = browser
        self._make_page = make_page
        self._folder = folder
        self.failures: list[str] = []

    def page(self, name: str, report: dict[str, Any], rewritten: dict[str, Any] | None = None) -> pathlib.Path:
        if name != "unsound":
            self.expect(validate_json.faults("analyze", report) == [], f"{name}: the test's own document is not valid")
        documents = [report] if rewritten is None else [report, rewritten]
        paths = [self._folder / f"{name}.{i}.json" for i in range(len(documents))]
        for path, document in zip(paths, documents):
            path.write_text(json.dumps(document))
        made = subprocess.run([self._make_page, *map(str, paths)], capture_output=True, check=True)
        page = self._folder / f"{name}.html"
        page.write_bytes(made.stdout)
        return page

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.failures.append(otherwise)

    def equal(self, actual: Any, expected: Any, what: str) -> None:
        self.expect(actual == expected, f"{what}: {actual!r}, expected {expected!r}")

    def sound(self, name: str, seen: dict[str, Any], report: dict[str, Any]) -> None:
        """What holds for every page."""
        self.equal(seen["errors"], [], f"{name}: errors")
        self.equal(seen["alerts"], [], f"{name}: alerts")
        self.equal(seen["intruders"], 0, f"{name}: elements that a name made")
        self.equal(seen["unlabelled"], 0, f"{name}: controls without a label")
        self.expect(seen["wider"] <= 0, f"{name}: the page is {seen['wider']} pixels wider than the window")
        for key in ("saved_bytes", "duplicate_bytes", "reclaimable_bytes", "floor_bytes"):
            self.equal(seen["totals"].get(key), report["totals"][key], f"{name}: totals.{key}")

    def test_large(self) -> None:
        report = synthetic_report.make_report(500)
        page = self.page("large", report)
        size = page.stat().st_size
        self.expect(size < _MAX_PAGE_BYTES, f"large: {size} bytes, more than {_MAX_PAGE_BYTES}")
        seen = self.browser.check(page, 1280)
        self.sound("large", seen, report)
        self.equal(seen["totals"].get("unattributed_bytes"), report["totals"]["unattributed_bytes"], "large: unattributed")
        self.tables("large", seen, report)
        self.search_and_sort(seen, report)
        self.icicle(seen["icicle"])
        self.timeline(seen["timeline"], report["timeline"])
        themes = seen["themes"]
        self.equal([theme for theme, _ in themes], ["auto", "light", "dark", "auto"], "large: themes")
        self.expect(themes[1][1] != themes[2][1], f"large: light and dark look the same: {themes}")
        self.sound("narrow", self.browser.check(page, 360), report)
        self.browser.screenshot(page, "light.png", (1440, 3600), "--blink-settings=preferredColorScheme=1")
        self.browser.screenshot(page, "dark.png", (1440, 3600), "--blink-settings=preferredColorScheme=0")
        self.browser.screenshot(page, "narrow.png", (360, 4800), "--blink-settings=preferredColorScheme=1")
        self.browser.screenshot(page, "wide.png", (1920, 1400), "--blink-settings=preferredColorScheme=0")

    def tables(self, name: str, seen: dict[str, Any], report: dict[str, Any]) -> None:
        totals = report["totals"]
        tables = seen["tables"]
        self.equal(tables["twice-table"]["bytes"], totals["duplicate_bytes"], f"{name}: bytes of the duplicates' table")
        self.equal(tables["storages-table"]["bytes"], totals["saved_bytes"], f"{name}: bytes of the storages' table")
        attributed = totals["saved_bytes"] - totals["unattributed_bytes"]
        self.equal(tables["modules-table"]["bytes"], attributed, f"{name}: bytes of the modules' table")
        self.equal(tables.pop("executors-table"), None, f"{name}: executors' table")
        for table, rows in tables.items():
            self.expect(0 < rows["rows"] <= 15, f"{name}: {table} begins with {rows['rows']} rows")

    def search_and_sort(self, seen: dict[str, Any], report: dict[str, Any]) -> None:
        found = [row for row in report["duplicates"] if row["op"] == "aten::gelu"]
        self.equal(seen["search"]["bytes"], sum(row["bytes"] for row in found), "large: bytes of the rows found")
        status = f"{len(found)} of {len(report['duplicates'])} storages"
        self.expect(seen["search"]["status"].startswith(status), f"large: {seen['search']['status']!r}, expected {status!r}")
        self.equal(set(seen["search"]["modules"]), {"aten::gelu"}, "large: operators found")
        expected = sorted((row["bytes"] for row in report["duplicates"]), reverse=True)
        self.equal(seen["sorted"]["before"], {"order": "descending", "bytes": expected}, "large: sorted at first")
        self.equal(seen["sorted"]["after"], {"order": "ascending", "bytes": expected[::-1]}, "large: sorted the other way")

    def icicle(self, seen: dict[str, Any]) -> None:
        self.expect(seen["blocks"] > 50, f"large: the icicle has {seen['blocks']} blocks")
        self.expect(seen["root"].startswith("(top), 412.6 MiB, 100.0 %"), f"large: the icicle's root is {seen['root']!r}")
        down = seen["down"]
        self.equal(down[0], "transformer.h", "large: the largest child of the top, joined with its only child")
        self.expect(all(b.startswith(f"{a}.") for a, b in zip(down, down[1:])), f"large: down goes to children: {down}")
        self.expect(seen["right"] != down[2] and seen["right"].count(".") == down[2].count("."), f"large: right: {seen['right']}")
        self.equal(seen["up"], down[1], "large: up goes to the parent")
        self.equal(seen["zoomed"]["active"], down[1], "large: the focus after zooming")
        self.equal(seen["zoomed"]["crumbs"], ["(top)", "transformer.h", down[1].rsplit(".", 1)[1]], "large: breadcrumbs")
        self.equal(seen["out"], ["(top)"], "large: breadcrumbs after Escape")

    def timeline(self, seen: dict[str, Any], timeline: dict[str, Any]) -> None:
        self.equal(seen["areas"], 5, "large: areas of the timeline")
        self.equal(seen["releases"], len(timeline["releases"]), "large: releases in the timeline")
        peak = f"{timeline['peak']['bytes'] / 2**20:.1f} MiB"
        self.equal(seen["labels"], ["forward", "backward", f"peak {peak}"], "large: labels of the timeline")
        self.expect(f"live {peak}" in seen["peak"], f"large: the timeline begins at the peak: {seen['peak']!r}")
        self.equal([seen["home"], seen["next"], seen["end"], seen["tooltip"]], ["0", "1", True, True], "large: keys in the timeline")

    def test_names(self) -> None:
        suffix = "</script><intruder><!--<script>&lt;\"'`\u2028é"
        report = synthetic_report.make_report(30, suffix)
        seen = self.browser.check(self.page("names", report), 1280)
        self.sound("names", seen, report)
        self.equal(seen["largestModule"], report["modules"][0]["path"], "names: the first module in its table")

    def test_rewritten(self) -> None:
        report = synthetic_report.make_report(60)
        after = synthetic_report.make_after(report)
        seen = self.browser.check(self.rewritten_page("rewritten", report, after), 1280)
        self.sound("rewritten", seen, report)
        self.equal(seen["totals"].get("after_saved_bytes"), after["totals"]["saved_bytes"], "rewritten: bytes after")
        peaks = (seen["totals"].get("peak_bytes"), seen["totals"].get("after_peak_bytes"))
        self.equal(peaks, (report["timeline"]["peak"]["bytes"], after["timeline"]["peak"]["bytes"]), "rewritten: peaks")
        self.expect("Rewritten, it keeps 41.8 MiB" in seen["headline"], f"rewritten: {seen['headline']!r}")
        self.browser.screenshot(self._folder / "rewritten.html", "rewritten.png", (1440, 4200))

    def rewritten_page(self, name: str, report: dict[str, Any], after: dict[str, Any]) -> pathlib.Path:
        gradients = [{"name": f"transformer.h.{i}.mlp.fc.weight", "distance": 1e-6 / (i + 1)} for i in range(6)]
        verification = {
            "passed": True,
            "failures": [],
            "notes": [],
            "outputs": [{"name": "output"}],
            "gradients": gradients,
            "gradient_distance": 1e-6,
            "gradient_tolerance": 1e-5,
            "reference_distance": 1.7e-6,
        }
        output = {"path": "synthetic.invact.pt", "sha256": "1" * 64}
        return self.page(name, report, {"after": after, "verification": verification, "output": output})

    def test_empty(self) -> None:
        report = synthetic_report.make_report(0)
        report["timeline"] = None
        seen = self.browser.check(self.page("empty", report), 1280)
        self.sound("empty", seen, report)
        self.equal(seen["headline"], "Training this model keeps nothing for backward.", "empty: headline")
        self.equal(seen["timeline"], None, "empty: timeline")

    def test_executors(self) -> None:
        """The default executor's total is not the one that a rewrite is predicted for."""
        report = synthetic_report.make_report(30)
        totals = {key: report["totals"][key] for key in ("saved_tensors", "saved_storages", "saved_bytes")}
        group = {"dtype": "float32", "shape": [4, 8], "op": "aten::dropout", "count": 2, "bytes": 256}
        report["run"] = {**report["run"], "executor": "default", "autocast": "bfloat16"}
        report["executors"] = {
            "eager": {**totals, "saved_bytes": totals["saved_bytes"] - 256},
            "default": totals,
            "only_eager": [],
            "only_default": [group],
        }
        for key in ("saved_bytes_before", "saved_bytes_after"):
            report["prediction"][key] -= 256
        seen = self.browser.check(self.page("executors", report), 1280)
        self.sound("executors", seen, report)
        self.expect("Run operator by operator it keeps 24.8 MiB" in seen["headline"], f"executors: {seen['headline']!r}")
        self.equal(seen["tables"]["executors-table"]["bytes"], 256, "executors: bytes of what only one keeps")

    def test_left_out(self) -> None:
        """More rows than a page carries: it says what is missing, and the totals hold."""
        report = synthetic_report.make_report(2500)
        seen = self.browser.check(self.page("left_out", report), 1280)
        self.sound("left_out", seen, report)
        missing = sum(row["bytes"] for row in report["storages"][2000:])
        told = f"The 500 smallest rows of the storages ({missing / 2**20:.1f} MiB together)"
        self.expect(any(text.startswith(told) for text in seen["callouts"]), f"left_out: {seen['callouts']}, expected {told!r}")
        expected = report["totals"]["saved_bytes"] - missing
        self.equal(seen["tables"]["storages-table"]["bytes"], expected, "left_out: bytes of the storages' table")

    def test_unsound(self) -> None:
        """A document whose rows do not add up is shown with a warning."""
        report = synthetic_report.make_report(30)
        report["modules"][0]["saved_bytes"] += 1
        seen = self.browser.check(self.page("unsound", report), 1280)
        self.equal(len(seen["alerts"]), 1, "unsound: alerts")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make-page", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--chromium", default="chromium")
    options = parser.parse_args()
    if not shutil.which(options.chromium):
        print(f"no '{options.chromium}': run scripts/setup.sh, or apt-get install chromium", file=sys.stderr)
        return 1
    options.folder.mkdir(parents=True, exist_ok=True)
    test = PageTest(Browser(options.chromium), options.make_page, options.folder.resolve())
    with concurrent.futures.ThreadPoolExecutor(_BROWSERS) as pool:
        names = [name for name in dir(test) if name.startswith("test_")]
        for running in [pool.submit(getattr(test, name)) for name in names]:
            running.result()
    print("\n".join(test.failures) or f"passed; screenshots in {options.folder}")
    return 1 if test.failures else 0


if __name__ == "__main__":
    sys.exit(main())
