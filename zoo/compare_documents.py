#!/usr/bin/env python3
"""Whether two builds of invact say the same of the zoo's models, to the last field.

    compare_documents.py OLD_INVACT NEW_INVACT FOLDER [MODEL...]

Makes each model once, traced and where it can be scripted, into FOLDER, runs `analyze --json`, `rewrite --json` and
`rewrite --exact --json` of both builds on it, and compares the documents: all fields but `tool`, `environment` and
times (`*_ns`, and the first number of a timeline's point). The written files are compared entry by entry too, without
the record of their making. Prints a line per document and exits 1 where one differs.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import zipfile
from typing import Any

sys.dont_write_bytecode = True

import models  # noqa: E402  (with no bytecode beside it)

NOT_COMPARED = ("tool", "environment")


def comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            # A point of the timeline begins with its time.
            key: [point[1:] for point in entry] if key == "points" else comparable(entry)
            for key, entry in value.items()
            if key not in NOT_COMPARED and not key.endswith("_ns")
        }
    return [comparable(entry) for entry in value] if isinstance(value, list) else value


def differences(old: Any, new: Any, place: str = "") -> list[str]:
    if type(old) is not type(new):
        return [f"{place}: {old!r} became {new!r}"]
    if isinstance(old, dict):
        keys = [f"{place}.{key} on one side only" for key in sorted(old.keys() ^ new.keys())]
        return keys + [line for key in old.keys() & new.keys() for line in differences(old[key], new[key], f"{place}.{key}")]
    if isinstance(old, list):
        if len(old) != len(new):
            return [f"{place}: {len(old)} entries became {len(new)}"]
        return [line for i, pair in enumerate(zip(old, new)) for line in differences(*pair, f"{place}[{i}]")]
    return [] if old == new else [f"{place}: {old!r} became {new!r}"]


def entries(path: pathlib.Path) -> dict[str, bytes]:
    """The archive's entries by their names without the archive's own; the record of the rewrite names its environment."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith(("extra/invact.json", ".debug_pkl", "serialization_id"))]
        return {name.split("/", 1)[1]: archive.read(name) for name in names}


def document(invact: pathlib.Path, command: list[str], work: pathlib.Path) -> dict[str, Any]:
    path = work / "document.json"
    run = subprocess.run([invact, *command, "--json", str(path), "--quiet"], cwd=work, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{invact} {' '.join(command)}: {run.stderr}")
    return json.loads(path.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=pathlib.Path)
    parser.add_argument("new", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("models", nargs="*", default=list(models.MODELS), metavar="MODEL")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in options.models:
        for form in ("traced", "scripted") if models.MODELS[name].scripts else ("traced",):
            model = options.folder / f"{name}.{form}.pt"
            models.make_file(name, form, model)
            given = ["--input", models.MODELS[name].input.flag()] if form == "scripted" else []
            for command in (["analyze"], ["rewrite"], ["rewrite", "--exact"]):
                found = []
                written = []
                documents = []
                for side in (options.old.resolve(), options.new.resolve()):
                    out = options.folder / "rewritten.pt"
                    arguments = [command[0], model.name, *command[1:], *given, "--threads", "1"]
                    if command[0] == "rewrite":
                        arguments += ["-o", out.name, "--force"]
                    record = comparable(document(side, arguments, options.folder))
                    if command[0] == "rewrite":
                        record["output"].pop("sha256")  # of a record that names the environment, too
                        written.append(entries(out))
                    documents.append(record)
                found += differences(*documents)
                if written:
                    found += [f"file: {line}" for line in sorted(written[0].keys() ^ written[1].keys())]
                    found += [f"file: {entry}" for entry in written[0] if written[0][entry] != written[1].get(entry)]
                failed |= bool(found)
                print(f"{name} {form} {' '.join(command)}: {'; '.join(found[:5]) or 'equal'}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
