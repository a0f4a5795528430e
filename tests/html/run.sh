#!/usr/bin/env bash
# Every kind of page in a real browser: Chromium from Debian, driven by playwright-core from npm, and looked through by
# axe-core. Without any of these, it says so and skips.
# usage: tests/html/run.sh PORTWARD [FOLDER FOR SCREENSHOTS]
set -euo pipefail
portward=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=${2:-$work/shots}
mkdir -p "$out"

skip() { echo "skipped, so the pages were not looked at: $1"; exit 0; }
. "$here/browser.sh"
browser "$work" playwright-core@1 axe-core@4

python3 "$here/pages.py" "$portward" "$work/pages"
node "$here/look.mjs" "$work/npm" "$work/pages" "$out"
