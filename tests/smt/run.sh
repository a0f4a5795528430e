#!/usr/bin/env bash
# Random firewalls, and an SMT solver that looks for a packet that contradicts `diff` or a plan. Z3 comes from PyPI; without
# network it says so and skips.
#
# usage: tests/smt/run.sh PORTWARD [--seed N] [--cases N] [--case N] [--keep DIR]
#   --case N   only the case of this number, as a failed run names it with its seed
#   --keep DIR leaves the files there that the program was shown
set -euo pipefail
portward=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check 'z3-solver==5.4.1.0' >"$work/pip.log" 2>&1; then
  "$work/venv/bin/python" -B "$here/oracle.py" "$portward" "$@"
else
  echo "skipped: z3-solver cannot be installed"
fi
