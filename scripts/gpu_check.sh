#!/usr/bin/env bash
# Everything that needs a GPU, in one go: the tests of label `gpu`, the same under compute-sanitizer where it is
# installed, and the kernel bench. Exit 5 without a GPU, as the tool itself does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! nvidia-smi >/dev/null 2>&1; then
  echo "gpu-check: no NVIDIA GPU here (nvidia-smi is absent or fails): run this on a machine with one." >&2
  exit 5
fi
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv

make build
# Without a device a GPU test skips, and ctest calls that a pass; here it must fail.
export INVACT_REQUIRE_GPU=1
run_gpu_tests=(.venv/bin/ctest --test-dir build -L "^gpu$" --no-tests=error --output-on-failure)
"${run_gpu_tests[@]}"
if command -v compute-sanitizer >/dev/null; then
  compute-sanitizer --target-processes all --error-exitcode 1 "${run_gpu_tests[@]}"
else
  echo "gpu-check: compute-sanitizer is not installed; the tests ran without it." >&2
fi
make bench
