#!/usr/bin/env python3
"""Runs docs/ci.md as CI services would: ci_docs_test.py INVACT PAGE.md, with a Python that has torch.

Files of the page are written to a repository, its shell blocks run there, then the steps of both jobs: once on the page's
model, where they must pass, and once on a wider one, where the job must fail and say so in every format.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "zoo"))
import validate_json

BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Steps that are GitHub's: what they read must be there when they would run.
ACTIONS = {"actions/checkout@v4": None, "github/codeql-action/upload-sarif@v3": "sarif_file"}


class Job:
    """A repository in which a service's commands run, with the variables that the service sets."""

    def __init__(self, repository: pathlib.Path, invact: pathlib.Path) -> None:
        self.repository = repository
        self.step_summary = repository.parent / "step_summary.md"
        path = [str(invact.parent), str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]
        self.environment = os.environ | {
            "PATH": os.pathsep.join(path),
            "GITHUB_WORKSPACE": str(repository),
            "GITHUB_STEP_SUMMARY": str(self.step_summary),
            "CI_PROJECT_DIR": str(repository),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        # -e: as both services run a script.
        command = ["bash", "-e", "-c", script]
        return subprocess.run(
            command, cwd=self.repository, env=self.environment, text=True, capture_output=True, timeout=240
        )

    def must(self, script: str) -> None:
        done = self.shell(script)
        if done.returncode != 0:
            raise SystemExit(f"exit {done.returncode}:\n{script}\n{done.stdout}{done.stderr}")


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise SystemExit(f"FAILED: {what}")


def github(job: Job) -> list[subprocess.CompletedProcess[str]]:
    """The workflow's steps until one fails; later ones only with `if: always()`, as GitHub does."""
    (steps,) = [
        entry["steps"]
        for entry in yaml.safe_load((job.repository / ".github/workflows/memory.yml").read_text())["jobs"].values()
    ]
    runs: list[subprocess.CompletedProcess[str]] = []
    for step in steps:
        failed = bool(runs) and runs[-1].returncode != 0
        if failed and step.get("if") != "always()":
            continue
        if "run" in step:
            runs.append(job.shell(step["run"]))
        elif (argument := ACTIONS[step["uses"]]) is not None:
            expect((job.repository / step["with"][argument]).exists(), f"{step['uses']} finds its {argument}")
    return runs


def gitlab(job: Job) -> subprocess.CompletedProcess[str]:
    """All lines of the script as one, and its artifacts must be there whatever came of it."""
    (entry,) = yaml.safe_load((job.repository / ".gitlab-ci.yml").read_text()).values()
    done = job.shell("\n".join(entry["script"]))
    for artifact in [entry["artifacts"]["reports"]["junit"], *entry["artifacts"]["paths"]]:
        expect((job.repository / artifact).exists(), f"GitLab finds {artifact}")
    return done


def check_documents(job: Job, failed_gates: int) -> None:
    sarif = json.loads((job.repository / "invact.sarif").read_text())
    expect(validate_json.faults("sarif", sarif) == [], "the SARIF file is valid")
    results = sarif["runs"][0]["results"]
    errors = [result for result in results if result["level"] == "error"]
    expect(len(errors) == failed_gates, f"{failed_gates} errors in the SARIF file: {errors}")
    places = [result["locations"][0]["physicalLocation"] for result in results if result["level"] == "warning"]
    expect([place["artifactLocation"] for place in places] == [{"uri": "net.py", "uriBaseId": "%SRCROOT%"}], f"{places}")
    suite = xml.etree.ElementTree.parse(job.repository / "invact.xml").getroot()
    expect((suite.get("tests"), suite.get("failures")) == ("2", str(failed_gates)), f"JUnit counts: {suite.attrib}")
    for summary in [job.step_summary, job.repository / "invact.md"]:
        expect(summary.read_text().count("**FAILED**") == failed_gates, f"{summary.name} names {failed_gates} gates")


def passes(job: Job) -> None:
    runs = github(job)
    expect([run.returncode for run in runs] == [0, 0], f"the GitHub job passes: {runs}")
    expect("::warning file=net.py,line=11," in runs[-1].stderr, f"a warning stands at the line: {runs[-1].stderr}")
    done = gitlab(job)
    expect(done.returncode == 0, f"the GitLab job passes: {done}")
    check_documents(job, failed_gates=0)


def fails(job: Job) -> None:
    """Ten times as wide: both limits of the page are passed."""
    net = job.repository / "net.py"
    net.write_text(net.read_text().replace("256", "2560"))
    job.step_summary.unlink()
    runs = github(job)
    expect([run.returncode for run in runs] == [0, 1], f"the GitHub job fails: {runs}")
    for gate in ["max-saved", "max-growth"]:
        expect(f"::error title=invact gate/{gate}::" in runs[-1].stderr, f"{gate} is annotated: {runs[-1].stderr}")
        expect(f"invact: gate --{gate} failed: " in runs[-1].stderr, f"{gate} is named: {runs[-1].stderr}")
    expect(gitlab(job).returncode == 1, "the GitLab job fails")
    check_documents(job, failed_gates=2)


def main() -> None:
    invact, page = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    blocks = BLOCK.findall(page.read_text())
    with tempfile.TemporaryDirectory() as folder:
        repository = pathlib.Path(folder).resolve() / "repository"
        repository.mkdir()
        job = Job(repository, invact)
        for _, file, content in blocks:
            if file:
                (repository / file).parent.mkdir(parents=True, exist_ok=True)
                (repository / file).write_text(content)
        # The page restores a file with git.
        job.must("git init -q && git add . && git -c user.name=t -c user.email=t@localhost commit -qm page")
        for language, file, content in blocks:
            expect(bool(file) or language == "sh", f"a block of {page.name} is neither a file nor shell")
            if not file:
                job.must(content)
        for name, schema in [("invact-baseline.json", "analyze"), ("changed.json", "analyze"), ("diff.json", "diff")]:
            document = json.loads((repository / name).read_text())
            expect(validate_json.faults(schema, document) == [], f"{name} is valid")
        expect(document["totals"]["saved_bytes"]["change"] == 128 * 256 * 4, "the page's change is one row of 128x256")
        passes(job)
        fails(job)
    print(f"{len(blocks)} blocks of {page.name} ran, and both jobs passed and failed as they should")


if __name__ == "__main__":
    main()
