#!/usr/bin/env bash
# The page in a real browser: Chromium from Debian, driven by playwright-core from npm. Without either, it says so and skips.
# usage: tests/html/run.sh PORTWARD [FOLDER FOR SCREENSHOTS]
set -euo pipefail
portward=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=${2:-$work}
mkdir -p "$out"

skip() { echo "skipped, so the page was not looked at: $1"; exit 0; }

if [ ! -x "${CHROMIUM:-/usr/bin/chromium}" ]; then
  if [ "$(id -u)" -eq 0 ]; then
    as_root=()
  elif sudo -n true 2>"$work/sudo.log"; then
    as_root=(sudo -n)
  else
    skip "there is no chromium, and only root may install it"
  fi
  { "${as_root[@]}" apt-get update && "${as_root[@]}" apt-get install --yes --no-install-recommends chromium; } \
    >"$work/apt.log" 2>&1 || skip "there is no chromium, and apt-get cannot install it"
fi
npm install --silent --no-audit --no-fund --prefix "$work/npm" playwright-core@1 >"$work/npm.log" 2>&1 \
  || skip "npm cannot install playwright-core"

cd "$here/../.."
# A plan as people review it, a drift, whose page also has policies that do not hold, and a comparison.
config=(--config firewall.example.toml --inventory examples/fleet.json)
"$portward" plan "${config[@]}" --report html="$work/plan.html" >"$work/plan.txt"
"$portward" drift "${config[@]}" --report html="$work/drift.html" >"$work/drift.txt" || [ $? -eq 2 ]
"$portward" diff examples/fleet.json firewall.example.toml --report html="$work/diff.html" >"$work/diff.txt" || [ $? -eq 2 ]
for page in plan drift diff; do
  mkdir -p "$out/$page"
  node "$here/look.mjs" "$work/npm" "$work/$page.html" "$out/$page"
done
