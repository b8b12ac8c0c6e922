#!/bin/sh
# A step of a CI job: 02_analyze_in_ci.sh MODEL.pt MAX_SAVED MAX_DUPLICATE [BASELINE.json]
# Sizes are written 120MiB or 5GB. Exit 1 where training the model keeps more than that, keeps more than that twice, or
# keeps 5 % more than in the baseline's report, which is made where it is missing. Whole jobs: docs/ci.md.
set -eu
baseline=${4:-invact-baseline.json}

[ -e "$baseline" ] || invact analyze "$1" --json "$baseline"
invact analyze "$1" --top 5 --baseline "$baseline" --max-growth 5% --max-saved "$2" --max-duplicate "$3"
