#!/usr/bin/env bash
# SARIF against the schema of the standard, which comes with an npm package. Without network it says so and skips.
# usage: tests/sarif/run.sh PORTWARD
set -euo pipefail
portward=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm install --silent --no-audit --no-fund --prefix "$work" @microsoft/jest-sarif@1.0.0-beta.0 ajv@8 ajv-draft-04@1 ajv-formats@3 >"$work/npm.log" 2>&1 \
  || { echo "skipped, so no log was held against the schema: npm cannot install it"; exit 0; }

cd "$here/../.."
printf 'version = 2\n[nonsense]\n[instances.a]\nrules = [{ allow = "sssh", from = "[x](y) {0}" }]\n' >"$work/bad.toml"
printf 'version = 1\n[defaults]\nregion = "eu-central-1"\n[instances.no-such]\nrules = []\n[instances.web-1]\nrules = []\n' >"$work/refused.toml"
# Codes of answers are fine here; that there is an answer is what counts.
"$portward" check --config firewall.example.toml --format sarif >"$work/valid.sarif"
"$portward" check --config "$work/bad.toml" --format sarif >"$work/bad.sarif" 2>/dev/null || [ $? -eq 65 ]
"$portward" plan --config "$work/refused.toml" --inventory examples/fleet.json --format sarif >"$work/refused.sarif" 2>/dev/null || [ $? -le 6 ]
"$portward" plan --config firewall.example.toml --inventory no-such --format sarif >"$work/failed.sarif" 2>/dev/null || [ $? -eq 1 ]
"$portward" drift --config firewall.example.toml --inventory examples/fleet.json --format sarif >"$work/policies.sarif" || [ $? -eq 2 ]
node "$here/validate.mjs" "$work" "$work"/*.sarif
