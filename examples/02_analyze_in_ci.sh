#!/bin/sh
# A step of a CI job: 02_analyze_in_ci.sh MODEL.pt MAX_SAVED_MIB MAX_RECLAIMABLE_MIB
# Exit 1 where training the model keeps more than that, or keeps more than that for nothing.
set -eu
report=$(mktemp)
trap 'rm -f "$report"' EXIT

invact analyze "$1" --json "$report"
python3 - "$report" "$2" "$3" <<'PYTHON'
import json
import sys

totals = json.load(open(sys.argv[1]))["totals"]
failed = False
for name, limit in (("saved_bytes", sys.argv[2]), ("reclaimable_bytes", sys.argv[3])):
    mebibytes = totals[name] / 2**20
    too_much = mebibytes > float(limit)
    failed |= too_much
    print(f"{'TOO MUCH' if too_much else 'ok      '}  {name} {mebibytes:.1f} MiB, limit {limit}")
sys.exit(failed)
PYTHON
