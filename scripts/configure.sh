#!/usr/bin/env bash
# Configures a preset where that has not been done: configure.sh PRESET. Starts anew where an earlier configuration was
# interrupted, or was made with another environment or another CMakePresets.json; CMake itself sees every other change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=$1
folder=build
[ "$preset" = cuda ] || folder=build-$preset
stamp=$folder/configured
made_from="$(readlink .venv) $(readlink .venv-newest || true) $(sha256sum <CMakePresets.json)"

if [ ! -e "$folder/build.ninja" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$made_from" ]; then
  .venv/bin/cmake --preset "$preset" --fresh
  printf '%s\n' "$made_from" >"$stamp"
fi
