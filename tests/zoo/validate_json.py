#!/usr/bin/env python3
"""Checks documents against a schema of schemas/, and that an analyze document's rows add up to its totals.

validate_json.py analyze FILE.json ...      also rewrite, verify, ops
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import Any

import jsonschema
import jsonschema.exceptions
import referencing

SCHEMAS = pathlib.Path(__file__).resolve().parent.parent.parent / "schemas"


def _validator(schema: str) -> jsonschema.Draft202012Validator:
    documents = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.schema.json")}
    registry = referencing.Registry().with_resources(
        (name, referencing.Resource.from_contents(document)) for name, document in documents.items()
    )
    chosen = documents[f"{schema}.schema.json"]
    jsonschema.Draft202012Validator.check_schema(chosen)
    return jsonschema.Draft202012Validator(chosen, registry=registry)


def _sum_faults(document: dict[str, Any]) -> list[str]:
    """Rows account for everything: a byte is in one module or unattributed, and in one storage."""
    totals = document["totals"]
    saved = totals["saved_bytes"]
    by_module = sum(row["saved_bytes"] for row in document["modules"]) + totals["unattributed_bytes"]
    by_storage = sum(row["bytes"] for row in document["storages"])
    faults = []
    if by_module != saved:
        faults.append(f"modules and unattributed_bytes sum to {by_module}, totals.saved_bytes is {saved}")
    if by_storage != saved:
        faults.append(f"storages sum to {by_storage}, totals.saved_bytes is {saved}")
    if len(document["storages"]) != totals["saved_storages"]:
        faults.append(
            f"{len(document['storages'])} storages listed, totals.saved_storages is {totals['saved_storages']}"
        )
    return faults


def faults(schema: str, document: Any) -> list[str]:
    """What is wrong with the document, a sentence each; empty: nothing."""
    # best_match: of an `anyOf` that failed, the alternative that came closest.
    errors = (jsonschema.exceptions.best_match([error]) for error in _validator(schema).iter_errors(document))
    found = [f"at {error.json_path}: {error.message}" for error in errors]
    if not found and schema == "analyze":
        found = _sum_faults(document)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schema", choices=sorted(path.name.split(".")[0] for path in SCHEMAS.glob("*.schema.json")))
    parser.add_argument("files", nargs="+", type=argparse.FileType(), help="- for stdin")
    options = parser.parse_args()
    found = [f"{file.name}: {fault}" for file in options.files for fault in faults(options.schema, json.load(file))]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
