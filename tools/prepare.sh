#!/usr/bin/env bash
# Gives this machine what a build needs (compiler, Python headers, venv) and creates .venv.
set -euo pipefail

venv=${1:?usage: tools/prepare.sh VENV_DIRECTORY}
python=${PYTHON:-python3}

stop() {
  echo "rtinfer: $*" >&2
  exit 1
}

command -v "$python" >/dev/null ||
  stop "no $python on this machine; install Python 3.10 or newer, or name one with make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  stop "$("$python" --version) is too old, 3.10 or newer is needed; name one with make PYTHON=/path/to/python3"

version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")')
compiler=${CXX:-}
if [ -z "$compiler" ]; then
  compiler=$(command -v g++ || command -v c++ || command -v clang++ || true)
fi

missing=()
packages=()
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  missing+=("Python's venv module")
  packages+=("$version-venv")
fi
if [ ! -e "$header" ]; then
  missing+=("Python's C headers ($header)")
  packages+=("$version-dev")
fi
if [ -z "$compiler" ]; then
  missing+=("a C++ compiler")
  packages+=("g++")
fi

if [ ${#packages[@]} -gt 0 ]; then
  what=$(printf '%s, ' "${missing[@]}")
  what=${what%, }
  command -v apt-get >/dev/null ||
    stop "this machine lacks $what, and has no apt-get; install the equivalent of: ${packages[*]}"
  [ "$(id -u)" -eq 0 ] ||
    stop "this machine lacks $what; run this and then make again: sudo apt-get update && sudo apt-get install -y ${packages[*]}"
  echo "rtinfer: this machine lacks $what; installing with apt-get: ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || echo "rtinfer: apt-get update failed; trying with the package lists at hand" >&2
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
    stop "apt-get install ${packages[*]} failed (see above); install them by hand and run make again"
  [ -e "$header" ] || stop "$header is still missing; $python seems not to be the system's, install its headers"
  compiler=${compiler:-$(command -v g++)}
fi

probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
printf '#include <bit>\n#include <span>\nint main() { return std::span<const char>().empty() ? 0 : 1; }\n' \
  >"$probe/probe.cpp"
"$compiler" -std=c++20 "$probe/probe.cpp" -o "$probe/probe" 2>"$probe/log" ||
  stop "$compiler cannot compile C++20 ($(head -n 1 "$probe/log")); install g++ 11 or newer, or name one with CXX="

"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$venv"
