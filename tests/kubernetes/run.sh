#!/usr/bin/env bash
# The manifests against the schemas of Kubernetes, which come with PyPI's kubernetes-validate, and what schemas do not say;
# the units under systemd-analyze where that is installed. Without network the first part says so and skips.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here/../.."

if python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check 'kubernetes-validate==1.34.1' >"$work/pip.log" 2>&1; then
  "$work/venv/bin/python" "$here/validate.py" examples/kubernetes/*.yaml
else
  echo "skipped: kubernetes-validate cannot be installed"
fi

if command -v systemd-analyze >/dev/null; then
  # The program is not installed here, so a stand-in is named in its place.
  mkdir "$work/units"
  cp examples/systemd/* "$work/units"
  sed -i "s#/usr/local/bin/portward#$(command -v true)#" "$work"/units/*.service
  told=$(systemd-analyze verify --man=no "$work"/units/*.service "$work"/units/*.timer 2>&1) || { echo "$told"; exit 1; }
  if ! grep -q '^LoadCredential=aws-credentials:' examples/systemd/portward-drift.service; then
    echo "FAILED: the service has no place for credentials"; exit 1
  fi
  # What is said about other units of this machine is not ours.
  if grep -F portward <<<"$told"; then echo "FAILED: the units are not clean"; exit 1; fi
  cp "$work/units/portward-drift.timer" "$work/units/broken.timer"
  echo 'OnCalendar=now and then' >>"$work/units/broken.timer"
  if systemd-analyze verify --man=no "$work/units/broken.timer" 2>&1 | grep -qE 'OnCalendar|calendar|Unknown'; then
    echo "systemd: 4 units are clean"
  else
    echo "FAILED: the verifier let a broken unit pass"; exit 1
  fi
else
  echo "skipped: there is no systemd-analyze"
fi
