#!/usr/bin/env bash
# The schema in an editor: taplo, which editors use for TOML, finds no fault with the example, changes nothing of what it means when it
# lays it out, and says one thing of each mistake. It is a package of PyPI; without network this says so and skips.
# usage: tests/editors/run.sh PORTWARD
set -euo pipefail
portward=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{ python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check taplo==0.9.3; } >"$work/pip.log" 2>&1 \
  || { echo "skipped, so the schema was not tried in an editor: pip cannot install taplo"; exit 0; }
taplo() { "$work/venv/bin/taplo" "$@" 2>taplo.log; }

cd "$work"
cp -r "$here/../../examples" .
"$portward" schema config >schema.json
with_schema() { printf '#:schema ./schema.json\n'; cat; }

with_schema <"$here/../../firewall.example.toml" >example.toml
taplo check example.toml || { cat taplo.log; echo "taplo finds fault with the example"; exit 1; }
cp example.toml formatted.toml
taplo fmt formatted.toml || { cat taplo.log; echo "taplo cannot lay out the example"; exit 1; }
"$portward" diff example.toml formatted.toml --inventory examples/fleet.json >diff.txt \
  || { cat diff.txt; echo "the example means something else after taplo fmt"; exit 1; }

# Each mistake: what taplo says of it, and the lines behind `version = 1`. It repeats a message for every node that the place has.
mistakes=0
mistake() {
  { echo 'version = 1'; cat; } | with_schema >mistake.toml
  if taplo check mistake.toml; then cat mistake.toml; echo "taplo does not see it"; exit 1; fi
  said=$(sed -n 's/^error: //p' taplo.log | sort -u)
  [ "$said" = "$1" ] || { cat mistake.toml; printf 'said:     %s\nexpected: %s\n' "$said" "$1"; exit 1; }
  mistakes=$((mistakes + 1))
}

mistake "Additional properties are not allowed ('regoin' was unexpected)" <<'T'
[defaults]
regoin = "eu-central-1"
T
mistake '"allow" is a required property' <<'T'
[rulesets]
web = [{ from = "anywhere" }]
T
mistake '"from" is a required property' <<'T'
[rulesets]
web = [{ allow = "https" }]
T
mistake '22 is not of types "array", "string"' <<'T'
[rulesets]
web = [{ allow = 22, from = "anywhere" }]
T
mistake '"aditive" is not one of ["authoritative","additive","observe"]' <<'T'
[defaults]
mode = "aditive"
T
mistake '[{"name":"web-1"}] is not of type "object"' <<'T'
[[instances]]
name = "web-1"
T
mistake '1 is not of types "array", "string"' <<'T'
[instances.web-1]
use = 1
T
mistake "Additional properties are not allowed ('only-form' was unexpected)" <<'T'
[[policy]]
id = "private"
only-form = "office"
T
mistake '"of" is not one of ["deny","warn","off"]' <<'T'
[[policy]]
id = "all-open-to-world"
severity = "of"
T
mistake '8 is not of type "string"' <<'T'
[grants]
services = ["ssh"]
max = 8
T
mistake '"web-*" is not of type "object"' <<'T'
[groups.web]
match = "web-*"
T

echo "taplo: the example is right and keeps its meaning, and each of $mistakes mistakes is said once"
