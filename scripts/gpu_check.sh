#!/usr/bin/env bash
# Everything that needs a GPU, in one go: builds for the GPU at hand (in build-gpu), runs the tests of label `gpu`, the same
# under compute-sanitizer where there is one, and the kernel bench, and prints one JSON document on stdout (scripts/
# gpu_report.py; all else goes to stderr). Exit 0: tests and sanitizer passed; 1: they did not, or the build failed;
# 5: no GPU here.
#
# Where build-gpu-dependencies lies in the tree (scripts/pack_gpu_dependencies.sh), nothing is installed or downloaded:
# LibTorch is that of $INVACT_PYTHON (default: python3), nvcc that of $CUDA_HOME or the PATH, cmake that of the PATH.
# Elsewhere scripts/setup.sh makes the environment, as for every other build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'gpu-check: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

if ! nvidia-smi >/dev/null 2>&1; then
  say 'no NVIDIA GPU here (nvidia-smi is absent or fails): run this on a machine with one.'
  exit 5
fi
ask_gpu() { nvidia-smi -i 0 --query-gpu="$1" --format=csv,noheader,nounits; }
say "$(ask_gpu name), driver $(ask_gpu driver_version)"

packed="build-gpu-dependencies"
build="build-gpu"
results=$build/gpu-check
sanitizer_seconds=300
architecture=$(ask_gpu compute_cap | tr -d '. ')
options=(-DCMAKE_BUILD_TYPE=Release -DINVACT_CUDA=ON -DINVACT_ZOO_TESTS=OFF -DCMAKE_CUDA_ARCHITECTURES="$architecture")

if [ -d "$packed" ]; then
  python=${INVACT_PYTHON:-python3}
  cmake=cmake ctest=ctest ninja=$(command -v ninja || true)
  torch=$("$python" -c 'import importlib.util; print(importlib.util.find_spec("torch").submodule_search_locations[0])' 2>/dev/null) ||
    stop "$python has no torch: name a Python that has in INVACT_PYTHON."
  cuda=${CUDA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)")")")}
  prefix=$PWD/$packed
  options+=(-DCMAKE_PREFIX_PATH="$prefix" -DOPENSSL_ROOT_DIR="$prefix")
else
  scripts/setup.sh >&2
  python=$PWD/.venv/bin/python
  cmake=.venv/bin/cmake ctest=.venv/bin/ctest ninja=$PWD/.venv/bin/ninja
  torch=$(realpath .venv/libtorch)
  cuda=$(realpath .venv/cuda)
fi
command -v "$cmake" >/dev/null || stop 'no cmake: put one of 3.28 or later into the PATH.'
[ -x "$cuda/bin/nvcc" ] || stop "no nvcc in $cuda/bin: name the CUDA toolkit's folder in CUDA_HOME."
cupti=OFF
for header in include extras/CUPTI/include; do [ ! -e "$cuda/$header/cupti.h" ] || cupti=ON; done
options+=(-DINVACT_CUPTI="$cupti" -DINVACT_TORCH_ROOT="$torch" -DINVACT_CUDA_ROOT="$cuda" -DINVACT_PYTHON="$(command -v "$python")")
[ -z "$ninja" ] || options+=(-G Ninja -DCMAKE_MAKE_PROGRAM="$ninja")

say "LibTorch in $torch, CUDA in $cuda, compute capability $architecture"
"$cmake" -S . -B "$build" "${options[@]}" >&2 || stop 'configuring failed (its message is above).'
# A test of label gpu is named after its program (invact_add_test), and the build needs no more than these and the bench.
tests_of_gpu() { "$ctest" --test-dir "$build" -L '^gpu$' --show-only=json-v1 | "$python" -c "import json, sys
for test in json.load(sys.stdin)['tests']: print($1)"; }
mapfile -t targets < <(tests_of_gpu "test['name']")
"$cmake" --build "$build" -j "$(nproc)" --target invact_kernels_bench "${targets[@]}" >&2 ||
  stop 'the build failed (its message is above).'

rm -rf "$results"
mkdir -p "$results/tests"
passed=true

say 'tests of label gpu'
# Without a device a GPU test skips, and ctest calls that a pass; here it must fail.
export INVACT_REQUIRE_GPU=1
GTEST_OUTPUT="json:$PWD/$results/tests/" "$ctest" --test-dir "$build" -L '^gpu$' --no-tests=error --output-on-failure \
  --output-junit "$PWD/$results/tests.xml" >&2 || passed=false

sanitizer=$(command -v compute-sanitizer || ls "$cuda"/bin/compute-sanitizer "$cuda"/compute-sanitizer/compute-sanitizer 2>/dev/null || true)
if [ -n "$sanitizer" ]; then
  say "compute-sanitizer, at most $sanitizer_seconds s per program"
  tests_of_gpu "test['command'][0]" | while read -r program; do
    log=$results/sanitizer.$(basename "$program").log
    # The tests of 2^31 elements would take it hours, and the sanitizer holds CUPTI itself; they run above.
    GTEST_FILTER='-*MoreThanTwoToTheThirtyOne*:DeviceStepGpuTest.*' timeout "$sanitizer_seconds" "${sanitizer%%$'\n'*}" --log-file "$log" \
      --error-exitcode 99 "$program" >&2 </dev/null || printf 'exit %s\n' "$?" >>"$log"
  done
fi

say 'kernel bench'
"$build/bin/invact_kernels_bench" --benchmark_filter=/cuda --benchmark_out="$results/bench.json" --benchmark_out_format=json >&2 ||
  stop 'the bench failed (its message is above).'
[ -s "$results/bench.json" ] || stop 'the bench found no GPU, though nvidia-smi does: is the driver too old for this CUDA?'

commit=$(git rev-parse HEAD 2>/dev/null || cat "$packed/commit" 2>/dev/null || echo unknown)
"$python" -B scripts/gpu_report.py --results "$results" --commit "$commit" --date "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
  --device "$(ask_gpu name)" --driver "$(ask_gpu driver_version)" --memory-mib "$(ask_gpu memory.total)" \
  --compute-capability "$(ask_gpu compute_cap)" || passed=false
[ "$passed" = true ] || exit 1
