#!/usr/bin/env bash
# Terraform and portward side by side: one address of one rule changes on instances with SSH open.
#
# Both talk to `portward emulate` through a recorder that writes down every request and the rules right after it, and that
# throttles as AWS documents. The table says which writes were made, for how long nobody got in by tcp/22 (the instances
# with the shortest and the longest time), and what is left when the service refuses the last call. Nothing leaves
# loopback, and nothing is written outside a temporary folder.
#
#   TF_PROVIDER_MIRROR  a filesystem mirror that holds registry.terraform.io/hashicorp/aws; without it: skipped
#   SIZES               INSTANCESxRULES, several runs in a row (default: "1x5 1x20 20x10")
#   PORTWARD            the command to measure (default: built here)
set -euo pipefail
cd "$(dirname "$0")/../.."

here=benches/terraform
skip() { echo "skipped: $*"; exit 0; }

command -v terraform >/dev/null || skip "terraform is not installed"
command -v python3 >/dev/null || skip "python3 is not installed"
[ -n "${TF_PROVIDER_MIRROR:-}" ] || skip "TF_PROVIDER_MIRROR names no filesystem mirror"
[ -d "$TF_PROVIDER_MIRROR/registry.terraform.io/hashicorp/aws" ] ||
  skip "TF_PROVIDER_MIRROR holds no registry.terraform.io/hashicorp/aws"
mirror=$(cd "$TF_PROVIDER_MIRROR" && pwd)

if [ -z "${PORTWARD:-}" ]; then
  cargo build --locked --quiet
  PORTWARD=target/debug/portward
fi
PORTWARD=$(cd "$(dirname "$PORTWARD")" && pwd)/$(basename "$PORTWARD")

work=$(mktemp -d)
pids=()
stop_servers() {
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  pids=()
}
trap 'stop_servers; rm -rf "$work"' EXIT

# Nothing of the caller's own AWS or Terraform set-up may leak into the comparison.
unset "${!AWS_@}" "${!TF_@}" "${!PORTWARD_@}"
export AWS_EC2_METADATA_DISABLED=true AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export HOME="$work" CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_CLI_CONFIG_FILE="$work/cli.tfrc"
cat >"$TF_CLI_CONFIG_FILE" <<END
provider_installation {
  filesystem_mirror {
    path    = "$mirror"
    include = ["registry.terraform.io/hashicorp/aws"]
  }
}
END

# The first line that a server prints is its address.
address_of() {
  for _ in $(seq 100); do
    if [ -s "$1" ]; then head -n 1 "$1"; return; fi
    sleep 0.1
  done
  echo "no server came up: $1" >&2
  return 1
}

# start FOLDER INSTANCES RULES: an emulator with a fresh fleet, and a recorder before it, whose address is left in $url.
start() {
  mkdir -p "$1"
  python3 "$here/recorder.py" fleet "$2" "$3" >"$1/fleet.json"
  : >"$1/refuse"
  : >"$1/log"
  "$PORTWARD" emulate --listen 127.0.0.1:0 --state "$1/fleet.json" >"$1/emulator" 2>"$1/emulator.err" &
  pids+=($!)
  upstream=$(address_of "$1/emulator")
  python3 "$here/recorder.py" serve "$upstream" "$1/fleet.json" "$1/log" "$1/refuse" >"$1/recorder" 2>"$1/recorder.err" &
  pids+=($!)
  url=$(address_of "$1/recorder")
}

# bring_terraform, bring_portward FOLDER INSTANCES RULES ADDRESS: every instance to a firewall with SSH from ADDRESS.
bring_terraform() {
  python3 "$here/recorder.py" terraform "$2" "$3" "$4" "$url" >"$1/main.tf"
  if [ ! -d "$1/.terraform" ]; then terraform -chdir="$1" init -input=false -no-color >>"$1/out" 2>&1; fi
  terraform -chdir="$1" apply -auto-approve -input=false -no-color >>"$1/out" 2>&1
}

bring_portward() {
  python3 "$here/recorder.py" toml "$2" "$3" "$4" >"$1/firewall.toml"
  "$PORTWARD" apply -c "$1/firewall.toml" --endpoint-url "$url" --yes >>"$1/out" 2>&1
}

# measure TOOL INSTANCES RULES REFUSED: one row of the table. REFUSED is the action that is denied, or nothing.
measure() {
  local folder="$work/$1-$2-$3-${4:-none}" code=0
  start "$folder" "$2" "$3"
  "bring_$1" "$folder" "$2" "$3" 198.51.100.7/32 || { echo "$1 could not set up:"; cat "$folder/out"; return 1; }
  # Every bucket is full again before the measured change.
  sleep 5
  : >"$folder/log"
  echo "$4" >"$folder/refuse"
  "bring_$1" "$folder" "$2" "$3" 198.51.100.8/32 || code=$?
  stop_servers
  local requests="" writes="" shut="" left="" took="" key value
  while IFS='=' read -r key value; do
    printf -v "$key" '%s' "$value"
  done < <(python3 "$here/recorder.py" summary "$folder/log" "$folder/fleet.json")
  printf '| %s | %s x %s | %s | %s | %s | %s | %s of %s | %s | %s |\n' \
    "$1" "$2" "$3" "${4:-none}" "$requests" "$writes" "$shut" "$left" "$(($2 * $3))" "$took" "$code"
}

echo "one address of tcp/22 changes; against the emulator, on loopback"
terraform version | head -n 1
find "$mirror/registry.terraform.io/hashicorp/aws" -mindepth 1 -maxdepth 1 -type d -printf 'hashicorp/aws %f\n' | sort
"$PORTWARD" --version
echo
echo '| tool | instances x rules | refused | requests | writes | tcp/22 shut | rules left | took | exit |'
echo '|---|---|---|---|---|---|---|---|---|'
for size in ${SIZES:-1x5 1x20 20x10}; do
  for refused in "" PutInstancePublicPorts; do
    for tool in terraform portward; do
      measure "$tool" "${size%x*}" "${size#*x}" "$refused"
    done
  done
done
