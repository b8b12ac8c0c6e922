#!/usr/bin/env bash
# Shows the tool on a real model: makes torchvision's convnext_tiny once, then analyzes, rewrites and verifies it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

model=build/demo/convnext_tiny.pt
rewritten=build/demo/convnext_tiny.invact.pt

show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

.venv/bin/python scripts/make_example_model.py convnext_tiny "$model"
show build/bin/invact analyze "$model"
show build/bin/invact rewrite "$model" -o "$rewritten" --force
show build/bin/invact verify "$model" "$rewritten"
