#!/usr/bin/env python3
"""The golden files of the CI formats through readers that we did not write: golden_documents_test.py FOLDER

JSON Schema, an XML parser, and the rules by which GitHub's runner reads workflow commands and a Markdown reader a table.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "zoo"))
import validate_json

# actions/toolkit: ::name key=value,key=value::message, of values and messages with escapes.
COMMAND = re.compile(r"^::(error|warning|notice) ([a-z]+=[^,:\r\n]*(?:,[a-z]+=[^,:\r\n]*)*)::([^\r\n]+)$")
BAD_ESCAPE = re.compile(r"%(?!25|0D|0A|3A|2C)")


# What Jenkins' schema (xunit-plugin, junit-10.xsd) allows; GitLab ignores what it does not know.
JUNIT_ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "time", "tests", "failures", "errors", "skipped", "timestamp", "hostname", "id", "package"},
    "testcase": {"name", "time", "classname", "group"},
    "failure": {"type", "message"},
    "system-out": set(),
}


def check_json(golden: pathlib.Path, schema: str, name: str) -> list[str]:
    return [f"{name}: {fault}" for fault in validate_json.faults(schema, json.loads((golden / name).read_text()))]


def check_junit(text: str) -> list[str]:
    faults = []
    root = xml.etree.ElementTree.fromstring(text)
    for element in root.iter():
        if unknown := set(element.attrib) - JUNIT_ATTRIBUTES[element.tag]:
            faults.append(f"junit: {element.tag} may not have {sorted(unknown)}")
    for suite in [root, *root.iter("testsuite")]:
        cases = list(suite.iter("testcase"))
        failed = [case for case in cases if case.find("failure") is not None]
        if (int(suite.get("tests", -1)), int(suite.get("failures", -1))) != (len(cases), len(failed)):
            faults.append(f"junit: the counts of {suite.tag} are wrong")
    for case in root.iter("testcase"):
        if not case.get("name") or not case.get("classname"):
            faults.append("junit: a case without name or classname")
    return faults


def check_annotations(text: str) -> list[str]:
    lines = text.splitlines()
    faults = [f"github: no workflow command: {line}" for line in lines if not COMMAND.match(line)]
    faults += [f"github: a bare %: {line}" for line in lines if BAD_ESCAPE.search(line)]
    return faults


def check_tables(text: str) -> list[str]:
    """Every row of a table has as many cells as its heading."""
    faults = []
    cells = None
    for line in text.splitlines():
        found = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        if found is not None and cells is not None and found != cells:
            faults.append(f"markdown: {found} bars where the heading has {cells}: {line}")
        cells = found if found is None or cells is None else cells
    return faults


def main() -> int:
    golden = pathlib.Path(sys.argv[1])
    faults = check_json(golden, "diff", "diff.json") + check_json(golden, "sarif", "ci.sarif")
    faults += check_junit((golden / "ci.junit.xml").read_text())
    faults += check_annotations((golden / "ci.github.txt").read_text())
    faults += check_tables((golden / "ci.summary.md").read_text())
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
