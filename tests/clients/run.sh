#!/usr/bin/env bash
# Clients that nobody here wrote, against `portward emulate`.
#
# Usage: tests/clients/run.sh PORTWARD [CLIENT...]      aws-cli, boto3, javascript and terraform; by default all
#
#   TF_PROVIDER_MIRROR  a filesystem mirror that holds registry.terraform.io/hashicorp/aws; without it, no Terraform
#
# Installs the AWS CLI, boto3 and the JavaScript SDK from PyPI and npm into a temporary folder. A client that cannot be had
# is skipped, and the reason is said. The clients run side by side, each with an emulator of its own, and can reach no host
# but this one. The last line counts clients.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/emulator.sh"

if [ $# -eq 0 ]; then
  echo "usage: $0 PORTWARD [CLIENT...]" >&2
  exit 64
fi
portward=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- aws-cli boto3 javascript terraform
begin

# Versions are pinned, so that a failure is ours. The AWS CLI and boto3 share one botocore, so they move together.
python=("awscli==1.46.3" "boto3==1.44.5")
javascript="@aws-sdk/client-lightsail@3.1169.0"

# A client that cannot be had ends with this code and says why.
skip() {
  echo "skipped: $*"
  exit 77
}

install_python() {
  command -v python3 >/dev/null || return 1
  python3 -m venv "$work/venv" || return 1
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "${python[@]}"
}

run_aws-cli() {
  [ -e "$work/venv/bin/aws" ] || skip "PyPI has no ${python[0]} for us: $(tail -n 1 "$work/pip.log")"
  AWS=$work/venv/bin/aws "$here/aws_cli.sh" "$portward"
}

run_boto3() {
  [ -e "$work/venv/bin/aws" ] || skip "PyPI has no ${python[1]} for us: $(tail -n 1 "$work/pip.log")"
  isolate
  "$work/venv/bin/python" "$here/boto.py" "$portward" "$here/fleet.json"
}

run_javascript() {
  command -v node >/dev/null || skip "node is not installed"
  command -v npm >/dev/null || skip "npm is not installed"
  local version
  version=$(node --version)
  [[ $version =~ ^v([0-9]+) && ${BASH_REMATCH[1]} -ge 20 ]] || skip "the SDK needs node 20, and this is $version"
  npm install --silent --no-audit --no-fund --prefix "$work/npm" "$javascript" >"$work/npm.log" 2>&1 ||
    skip "npm cannot install $javascript"
  local modules=$work/npm
  begin
  isolate
  cp "$here/fleet.json" "$work/fleet.json"
  serve "$portward" "$work/fleet.json"
  node --no-warnings "$here/javascript.mjs" "$modules" "$url"
}

run_terraform() {
  command -v terraform >/dev/null || skip "terraform is not installed"
  command -v python3 >/dev/null || skip "python3 is not installed"
  [ -n "${TF_PROVIDER_MIRROR:-}" ] || skip "TF_PROVIDER_MIRROR names no filesystem mirror"
  [ -d "$TF_PROVIDER_MIRROR/registry.terraform.io/hashicorp/aws" ] ||
    skip "TF_PROVIDER_MIRROR holds no registry.terraform.io/hashicorp/aws"
  "$here/terraform.sh" "$portward"
}

declare -A jobs
start() {
  ("run_$1") >"$work/$1.out" 2>&1 &
  jobs[$1]=$!
}
wanted() { [[ " $clients " == *" $1 "* ]]; }

clients=" $* "
for client in "$@"; do
  declare -F "run_$client" >/dev/null || { echo "there is no client $client" >&2; exit 64; }
done
for client in javascript terraform; do
  if wanted "$client"; then start "$client"; fi
done
if wanted aws-cli || wanted boto3; then
  install_python >"$work/pip.log" 2>&1 || rm -rf "$work/venv"
  for client in aws-cli boto3; do
    if wanted "$client"; then start "$client"; fi
  done
fi

passed=0 failed=0 skipped=0
for client in "$@"; do
  code=0
  wait "${jobs[$client]}" || code=$?
  printf -- '-- %s\n' "$client"
  cat "$work/$client.out"
  case $code in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *)
      failed=$((failed + 1))
      echo "FAILED: $client ended with exit code $code"
      ;;
  esac
done
echo "-- clients"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
