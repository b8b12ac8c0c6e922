#!/usr/bin/env python3
"""Checks documents against a schema of schemas/, and that rows add up: of an analyze document to its totals, of a diff to
the change of the total; that results of a SARIF file point to their rules.

validate_json.py analyze FILE.json ...      also diff, ops, rewrite, sarif, verify
validate_json.py cuda FILE.json ...         that member of an analyze document alone
validate_json.py sarif FILE.sarif --also sarif-schema-2.1.0.json    against the standard's own schema as well
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import Any

import jsonschema
import jsonschema.exceptions
import jsonschema.validators
import referencing

SCHEMAS = pathlib.Path(__file__).resolve().parent.parent.parent / "schemas"


def _validator(schema: str) -> jsonschema.Draft202012Validator:
    documents = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.schema.json")}
    registry = referencing.Registry().with_resources(
        (name, referencing.Resource.from_contents(document)) for name, document in documents.items()
    )
    chosen = (
        {"$ref": "analyze.schema.json#/properties/cuda"} if schema == "cuda" else documents[f"{schema}.schema.json"]
    )
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


def _diff_faults(document: dict[str, Any]) -> list[str]:
    """A byte that came or went is in one row and in one kind of change."""
    change = document["totals"]["saved_bytes"]["change"]
    kinds = {kind: entry for kind, entry in document["changes"].items() if kind != "unchanged"}
    by_row = sum(row["change_bytes"] for row in document["rows"])
    by_kind = sum(entry["bytes"] for entry in kinds.values())
    faults = []
    if by_row != change or by_kind != change:
        faults.append(f"rows sum to {by_row}, changes to {by_kind}, the total changed by {change}")
    for kind, entry in kinds.items():
        rows = sum(row["kind"] == kind for row in document["rows"])
        if rows != entry["rows"]:
            faults.append(f"{rows} rows are '{kind}', changes.{kind}.rows is {entry['rows']}")
    return faults


def _sarif_faults(document: dict[str, Any]) -> list[str]:
    """Indices lead to the rule they name, and no two results are one to code scanning."""
    faults = []
    for run in document["runs"]:
        rules = run["tool"]["driver"]["rules"]
        for result in run["results"]:
            if result["ruleIndex"] >= len(rules) or rules[result["ruleIndex"]]["id"] != result["ruleId"]:
                faults.append(f"ruleIndex {result['ruleIndex']} is not {result['ruleId']}")
        prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
        if len(set(prints)) != len(prints):
            faults.append("two results have one fingerprint")
    return faults


MORE_FAULTS = {"analyze": _sum_faults, "diff": _diff_faults, "sarif": _sarif_faults}


def faults(schema: str, document: Any) -> list[str]:
    """What is wrong with the document, a sentence each; empty: nothing."""
    # best_match: of an `anyOf` that failed, the alternative that came closest.
    errors = (jsonschema.exceptions.best_match([error]) for error in _validator(schema).iter_errors(document))
    found = [f"at {error.json_path}: {error.message}" for error in errors]
    if not found and schema in MORE_FAULTS:
        found = MORE_FAULTS[schema](document)
    return found


def _other_faults(schema: pathlib.Path, document: Any) -> list[str]:
    """By a schema that is not ours, of whatever draft it says."""
    content = json.loads(schema.read_text())
    validator = jsonschema.validators.validator_for(content)(content)
    return [f"{schema.name}: at {error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    schemas = sorted(path.name.split(".")[0] for path in SCHEMAS.glob("*.schema.json"))
    parser.add_argument("schema", choices=["cuda", *schemas])
    parser.add_argument("files", nargs="+", type=argparse.FileType(), help="- for stdin")
    parser.add_argument("--also", type=pathlib.Path, metavar="SCHEMA", help="check against this schema as well")
    options = parser.parse_args()
    found = []
    for file in options.files:
        document = json.load(file)
        document_faults = faults(options.schema, document)
        if options.also:
            document_faults += _other_faults(options.also, document)
        found += [f"{file.name}: {fault}" for fault in document_faults]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
