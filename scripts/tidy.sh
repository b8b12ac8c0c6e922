#!/usr/bin/env bash
# clang-tidy over the sources of kernels, analyzer, rewriter and cli, all findings errors: tidy.sh [JOBS]. It reads the
# compile commands of the preset `tidy` (no precompiled header: those are GCC's) and compiles nothing itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v clang-tidy >/dev/null || { echo 'tidy: no clang-tidy: install it (Debian: apt-get install clang-tidy).' >&2; exit 1; }
scripts/configure.sh tidy
# CUDA's sources are no part of the preset; neither is the half of a pair that an option leaves out.
git ls-files 'kernels/*.cpp' 'analyzer/*.cpp' 'rewriter/*.cpp' 'cli/*.cpp' |
  while read -r file; do
    if grep -qF "$PWD/$file\"" build-tidy/compile_commands.json; then printf '%s\0' "$file"; fi
  done |
  xargs -0 -n 1 -P "${1:-$(nproc)}" clang-tidy -p build-tidy --quiet
echo 'tidy: clean'
