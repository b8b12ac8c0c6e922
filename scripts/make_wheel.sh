#!/usr/bin/env bash
# Packs what was built as a Python wheel, into BUILD/wheel: make_wheel.sh BUILD. Compiles nothing and downloads nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=$(realpath "$1")
for file in bin/invact lib/libinvact_kernels.so; do
  [ -e "$build/$file" ] || { echo "make_wheel: no $build/$file: build first, or run \`make wheel\`." >&2; exit 1; }
done
rm -rf "$build/wheel"
.venv/bin/cmake --install "$build" --component wheel --strip --prefix "$build/wheel/tree" >/dev/null
cd "$build/wheel/tree"
"$OLDPWD/.venv/bin/python" -m hatchling build --target wheel --directory "$build/wheel"
