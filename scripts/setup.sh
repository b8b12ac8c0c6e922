#!/usr/bin/env bash
# Installs what invact's build and tests need and links the Python environment as .venv. Safe to repeat and to interrupt:
# a second run checks a few files and returns, an interrupted one starts its unfinished step anew. The environment lies
# in a cache folder keyed by its list of packages, so that another clone on the same machine reuses it (INVACT_CACHE
# overrides the folder).
#   setup.sh          requirements.txt         -> .venv
#   setup.sh newest   requirements-newest.txt  -> .venv-newest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

case "${1:-}" in
  "") requirements=requirements.txt link=.venv ;;
  newest) requirements=requirements-newest.txt link=.venv-newest ;;
  *) stop "unknown environment '$1': give none, or newest." ;;
esac

debian_packages=(g++ make git ca-certificates python3-venv libfmt-dev nlohmann-json3-dev libcli11-dev libgtest-dev
  libgmock-dev libbenchmark-dev libssl-dev ccache chromium)

install_debian_packages() {
  local missing=() installed package
  command -v dpkg-query >/dev/null || stop "this is no Debian system: install ${debian_packages[*]} (or their equivalents) by hand, then set INVACT_SKIP_PACKAGES=1."
  # dpkg-query fails where one of them is unknown to it, and still lists the others.
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${debian_packages[@]}" 2>/dev/null || true)
  for package in "${debian_packages[@]}"; do
    grep -qxF "$package installed" <<<"$installed" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || stop "these Debian packages are missing and need root: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  # An earlier run may have been interrupted between unpacking and configuring; apt-get refuses to go on from there.
  "${root[@]}" dpkg --configure -a >&2 || stop "dpkg --configure -a failed (its message is above): repair the packages, then run this again."
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update -qq ||
    stop "apt-get update failed (its message is above): check the network and the package sources, then run this again."
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
    --no-install-recommends "${missing[@]}" </dev/null >&2 ||
    stop "apt-get install failed (its message is above): install ${missing[*]} by hand, then run this again."
}

require_tools() {
  local tool
  for tool in g++ "${INVACT_PYTHON:-python3}"; do
    command -v "$tool" >/dev/null || stop "no $tool: install it (Debian: apt-get install g++ python3), then run this again."
  done
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

# Fills a new environment; what an interrupted set-up left there is removed first (pip's own cache keeps the downloads).
fill_environment() {
  local environment=$1 python=$2 version=$3 free_kib
  free_kib=$(df -Pk "$(dirname "$environment")" | awk 'NR==2 {print $4}')
  [ "$free_kib" -gt 12000000 ] || stop "the environment needs 12 GB while it is made, $(dirname "$environment") has $((free_kib / 1000000)) GB: free some, or name another folder in INVACT_CACHE."
  say "installing LibTorch, nvcc and the example models' packages into $environment; this downloads some gigabytes"
  "$python" -m venv --clear "$environment" || stop "$python -m venv failed (its message is above): install python3-venv."
  "$environment/bin/pip" install --disable-pip-version-check --no-input -r "$requirements" </dev/null >&2 ||
    stop "pip could not install $requirements (its message is above): check the network and the disk, then run this again."
  local packages=lib/python$version/site-packages
  complete_cuda_toolkit "$environment/$packages/nvidia/cu13"
  ln -s "$packages/torch" "$environment/libtorch"
  ln -s "$packages/nvidia/cu13" "$environment/cuda"
  touch "$environment/complete"
}

# A finished environment whose interpreter has since gone (a system upgrade, an emptied folder) does not count.
is_usable() { [ -e "$1/complete" ] && "$1/bin/python" -c '' 2>/dev/null; }

install_python_environment() {
  local python=${INVACT_PYTHON:-python3} version key cache environment
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  case "$version" in
    3.11 | 3.12) ;;
    *) stop "Python $version found; the pinned packages are for 3.11 or 3.12: name one in INVACT_PYTHON." ;;
  esac
  key=$(cat "$requirements" <(echo "$version") | sha256sum | cut -c1-16)
  cache=${INVACT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/invact}
  environment=$cache/env-$key
  if ! is_usable "$environment"; then
    mkdir -p "$cache" || stop "cannot make $cache: name a folder that can be written in INVACT_CACHE."
    # Two clones may set up at once: the second waits here and then finds the work done.
    exec 9>"$cache/env-$key.lock"
    flock -n 9 || { say "another set-up is filling $environment; waiting for it"; flock 9; }
    # `if`, not `||`: bash forgets `set -e` inside a function called in a `||` list.
    if ! is_usable "$environment"; then fill_environment "$environment" "$python" "$version"; fi
    exec 9>&-
  fi
  if [ "$(readlink $link 2>/dev/null)" != "$environment" ]; then
    [ ! -e $link ] || [ -L $link ] || stop "$link is a folder of its own; move it away: the set-up links $link to $environment."
    ln -sfn "$environment" $link
    say "$link -> $environment"
  fi
}

[ -n "${INVACT_SKIP_PACKAGES:-}" ] || install_debian_packages
require_tools
install_python_environment
