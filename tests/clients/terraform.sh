#!/usr/bin/env bash
# Terraform against `portward emulate`: create, nothing to do, change, destroy; the rules are read from the state file.
#
# Usage: TF_PROVIDER_MIRROR=FOLDER tests/clients/terraform.sh PORTWARD
#
# The provider comes from that folder and from nowhere else. Prints `ok N - ...` and `not ok N - ...` with the output.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/emulator.sh"

mirror=$(cd "$TF_PROVIDER_MIRROR" && pwd)
begin
isolate
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_CLI_CONFIG_FILE=$work/cli.tfrc
cat >"$TF_CLI_CONFIG_FILE" <<END
provider_installation {
  filesystem_mirror {
    path    = "$mirror"
    include = ["registry.terraform.io/hashicorp/aws"]
  }
}
END
cp "$here/fleet.json" "$work/fleet.json"
cp "$here/main.tf" "$work/main.tf"
serve "$1" "$work/fleet.json"
export TF_VAR_url=$url TF_VAR_ssh=198.51.100.7/32

number=0
failed=0
# step TITLE CODE ARGUMENT...: the command ends with this exit code.
step() {
  local title=$1 expected=$2 code=0
  shift 2
  terraform -chdir="$work" "$@" -input=false -no-color >"$work/out" 2>&1 || code=$?
  verdict "$title" "$([ "$code" = "$expected" ] && echo 0 || echo 1)"
}

# holds TITLE RULE...: exactly these rules are open on all instances that Terraform was told of.
holds() {
  local title=$1
  shift
  python3 - "$work/fleet.json" "$@" >"$work/out" 2>&1 <<'PYTHON' && verdict "$title" 0 || verdict "$title" 1
import json, sys

lists = ("cidrs", "ipv6Cidrs", "cidrListAliases")
there = sorted(
    " ".join([entry["name"], rule["protocol"], str(rule["fromPort"]), str(rule["toPort"]), *sum((rule[name] for name in lists), [])])
    for entry in json.load(open(sys.argv[1]))["regions"]["eu-central-1"]
    for rule in entry["portStates"]
)
if there != sorted(sys.argv[2:]):
    sys.exit("\n".join(there))
PYTHON
}

verdict() {
  number=$((number + 1))
  if [ "$2" = 0 ]; then
    echo "ok $number - $1"
  else
    failed=$((failed + 1))
    echo "not ok $number - $1"
    sed 's/^/# /' "$work/out"
  fi
}

rules=(
  "web-1 udp 7000 7010 0.0.0.0/0 ::/0"
  "web-1 icmp 8 0 0.0.0.0/0"
  "web-1 icmpv6 128 0 ::/0"
  "all-1 all 0 65535 198.51.100.0/24 2001:db8::/32"
)
step "init" 0 init
step "create" 0 apply -auto-approve
holds "the rules are those of the module" "${rules[@]}" "web-1 tcp 22 22 198.51.100.7/32 2001:db8:10::/48 lightsail-connect"
step "there is nothing to do" 0 plan -detailed-exitcode
export TF_VAR_ssh=198.51.100.8/32
step "change" 0 apply -auto-approve
holds "one address is another" "${rules[@]}" "web-1 tcp 22 22 198.51.100.8/32 2001:db8:10::/48 lightsail-connect"
step "destroy" 0 apply -destroy -auto-approve
holds "nothing is open"

echo "$((number - failed)) passed, $failed failed"
[ "$failed" = 0 ]
