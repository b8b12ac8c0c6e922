#!/usr/bin/env bash
# Copies what the build takes from Debian's packages into build-gpu-dependencies (ignored by git), for scripts/gpu_check.sh
# on a machine that has a GPU, LibTorch, nvcc, CMake and g++ but neither these packages nor a network. Run it on a machine
# that scripts/setup.sh has set up, then carry the folder along with the tree. The commit is noted in it, because a copy of
# a tree need have no history.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stop() { printf 'pack_gpu_dependencies: %s\n' "$*" >&2; exit 1; }

folder=build-gpu-dependencies
most_mib=63
# libfmt9 and libbenchmark1debian: the CMake files of their -dev packages want the shared libraries to be there, and Debian's
# Google Benchmark has no static one. GoogleTest and libcrypto are linked statically.
packages=(libfmt-dev libfmt9 nlohmann-json3-dev libcli11-dev libgtest-dev libgmock-dev libbenchmark-dev
  libbenchmark1debian libssl-dev)
wanted='^/usr/(include/|share/cmake/|lib/[^/]+/cmake/|lib/[^/]+/lib(gtest|gmock|benchmark|fmt|crypto)[^/]*\.(a|so[^/]*)$)'

command -v dpkg-query >/dev/null || stop 'this is no Debian system: put headers, libraries and CMake files of fmt, nlohmann/json, CLI11, GoogleTest, Google Benchmark and OpenSSL into build-gpu-dependencies by hand.'
rm -rf "$folder"
mkdir -p "$folder"
for package in "${packages[@]}"; do
  files=$(dpkg-query -L "$package" 2>/dev/null) || stop "the package $package is not installed: run scripts/setup.sh first."
  grep -E "$wanted" <<<"$files" | while read -r file; do
    [ -f "$file" ] || continue
    # libcrypto.so: the build links the static one.
    case "$file" in */libcrypto.so*) continue ;; esac
    # Debian's headers for one architecture lie where only its own compiler looks, and CMake's FindOpenSSL knows a plain lib
    # alone; the CMake files of the others know where they lie themselves.
    target=$folder$(sed -E 's#/include/[^/]+-linux-gnu/#/include/#; s#/lib/[^/]+/libcrypto#/lib/libcrypto#' <<<"${file#/usr}")
    mkdir -p "$(dirname "$target")"
    # A link's content, not the link: what carries the folder may not know links.
    cp -L "$file" "$target"
  done
done

commit=$(git rev-parse HEAD 2>/dev/null) || commit=unknown
[ -z "$(git status --porcelain 2>/dev/null)" ] || commit+=" with changes"
printf '%s\n' "$commit" >"$folder/commit"

mib=$(du -sm "$folder" | cut -f1)
[ "$mib" -le "$most_mib" ] || stop "$folder has $mib MiB, more than the $most_mib that may travel."
printf 'pack_gpu_dependencies: %s, %s MiB, commit %s\n' "$folder" "$mib" "$commit" >&2
