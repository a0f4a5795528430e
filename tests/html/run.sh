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

if [ ! -x "${CHROMIUM:-/usr/bin/chromium}" ]; then
  (apt-get update && apt-get install --yes chromium) >"$work/apt.log" 2>&1 \
    || { echo "skipped: no chromium, and it cannot be installed"; exit 0; }
fi
npm install --silent --no-audit --no-fund --prefix "$work/npm" playwright-core@1 >"$work/npm.log" 2>&1 \
  || { echo "skipped: playwright-core cannot be installed"; exit 0; }

cd "$here/../.."
"$portward" plan --config firewall.example.toml --inventory examples/fleet.json --as-of 2026-01-01 \
  --report html="$work/page.html" >"$work/plan.txt" || [ $? -eq 3 ]
node "$here/look.mjs" "$work/npm" "$work/page.html" "$out"
