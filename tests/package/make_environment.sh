#!/usr/bin/env bash
# Makes the wheel and installs it as a user does, into a Python environment of its own: make_environment.sh BUILD PYTHON FOLDER.
# torch is PYTHON's, seen through a .pth file instead of copied: so it also lies in another site-packages than invact.
set -euo pipefail
build=$1 python=$2 folder=$3

"$(dirname "${BASH_SOURCE[0]}")/../../scripts/make_wheel.sh" "$build"
rm -rf "$folder"
"$python" -m venv --without-pip "$folder"
site_packages() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
site_packages "$python" >"$(site_packages "$folder/bin/python")/torch_of_the_build.pth"
"$python" -m pip --python "$folder/bin/python" install --disable-pip-version-check --quiet --no-deps --no-index "$build"/wheel/*.whl
