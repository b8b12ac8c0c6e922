#!/usr/bin/env bash
# Installs what invact's build and tests need and links the Python environment as .venv. Safe to repeat: a second run
# checks a few files and returns. The environment lies in a cache folder keyed by requirements.txt, so that another
# clone on the same machine reuses it (INVACT_CACHE overrides the folder).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

debian_packages=(g++ make git ca-certificates python3-venv libfmt-dev nlohmann-json3-dev libcli11-dev libgtest-dev
  libgmock-dev libbenchmark-dev libssl-dev ccache)

install_debian_packages() {
  local missing=() package
  command -v dpkg-query >/dev/null || stop "this is no Debian system: install ${debian_packages[*]} (or their equivalents) by hand, then set INVACT_SKIP_PACKAGES=1."
  for package in "${debian_packages[@]}"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || stop "these Debian packages are missing and need root: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
    stop "apt-get update failed (its message is above): check the network and the package sources, then run this again."
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
    stop "apt-get install failed (its message is above): install ${missing[*]} by hand, then run this again."
}

# The toolkit's wheels lack the unversioned names that a linker looks for, and lib64.
complete_cuda_toolkit() {
  local cuda=$1 library
  for library in "$cuda"/lib/lib*.so.*; do
    local plain=${library%%.so.*}.so
    [ -e "$plain" ] || ln -s "$(basename "$library")" "$plain"
  done
  [ -e "$cuda/lib64" ] || ln -s lib "$cuda/lib64"
}

install_python_environment() {
  local python=${INVACT_PYTHON:-python3}
  command -v "$python" >/dev/null || stop "no $python: install Python 3.11 or 3.12, or name one in INVACT_PYTHON."
  local version
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  case "$version" in
    3.11 | 3.12) ;;
    *) stop "Python $version found; the pinned packages are for 3.11 or 3.12: name one in INVACT_PYTHON." ;;
  esac
  local key cache environment
  key=$(cat requirements.txt <(echo "$version") | sha256sum | cut -c1-16)
  cache=${INVACT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/invact}
  environment=$cache/env-$key
  if [ ! -e "$environment/complete" ]; then
    mkdir -p "$cache"
    # Two clones may set up at once: the second waits here and then finds the work done.
    exec 9>"$cache/env-$key.lock"
    flock -n 9 || { say "another set-up is filling $environment; waiting for it"; flock 9; }
    if [ ! -e "$environment/complete" ]; then
      local free_kib
      free_kib=$(df -Pk "$cache" | awk 'NR==2 {print $4}')
      [ "$free_kib" -gt 12000000 ] || stop "the environment needs about 8 GB (12 GB while installing), $cache has $((free_kib / 1000000)) GB: free some, or set INVACT_CACHE."
      say "installing LibTorch, nvcc and the example models' packages into $environment (about 2 minutes, 4 GB to download)"
      # A set-up that was interrupted may have left half an environment: start it anew, pip's own cache keeps the downloads.
      "$python" -m venv --clear "$environment" || stop "$python -m venv failed (its message is above): install python3-venv."
      "$environment/bin/pip" install --disable-pip-version-check --quiet --progress-bar on -r requirements.txt >&2 ||
        stop "pip could not install requirements.txt (its message is above): check the network, then run this again."
      local packages=$environment/lib/python$version/site-packages
      complete_cuda_toolkit "$packages/nvidia/cu13"
      ln -s "lib/python$version/site-packages/torch" "$environment/libtorch"
      ln -s "lib/python$version/site-packages/nvidia/cu13" "$environment/cuda"
      touch "$environment/complete"
    fi
    exec 9>&-
  fi
  if [ "$(readlink .venv 2>/dev/null)" != "$environment" ]; then
    [ ! -e .venv ] || [ -L .venv ] || stop ".venv is a folder of its own; move it away: the set-up links .venv to $environment."
    ln -sfn "$environment" .venv
    say ".venv -> $environment"
  fi
}

[ -n "${INVACT_SKIP_PACKAGES:-}" ] || install_debian_packages
install_python_environment
