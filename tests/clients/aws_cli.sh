#!/usr/bin/env bash
# The AWS CLI against `portward emulate`: every operation and every field.
#
# Usage: AWS=/path/to/aws tests/clients/aws_cli.sh PORTWARD
#
# Prints `ok N - ...` for what holds and `not ok N - ...` with the output for what does not; the last line counts both.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/emulator.sh"

aws=$AWS
begin
isolate
cp "$here/fleet.json" "$work/fleet.json"
serve "$1" "$work/fleet.json"
export AWS_MAX_ATTEMPTS=1 AWS_PAGER="" AWS_DEFAULT_OUTPUT=json

number=0
failed=0
verdict() { # TITLE HOLDS(0|1)
  number=$((number + 1))
  if [ "$2" = 0 ]; then
    echo "ok $number - $1"
  else
    failed=$((failed + 1))
    echo "not ok $number - $1"
    sed 's/^/# /' "$work/out"
  fi
}

ask() { "$aws" lightsail "$@" >"$work/out" 2>&1; }

# Succeeds, and a Python expression over the reply `r` (and `ports`, its rules by protocol and ports) holds.
check() { # TITLE EXPRESSION ARGUMENTS...
  local title=$1 expression=$2
  shift 2
  local holds=0
  ask "$@" || holds=1
  if [ $holds = 0 ]; then
    python3 - "$work/out" "$expression" >>"$work/out" 2>&1 <<'PYTHON' || holds=1
import json, sys

r = json.load(open(sys.argv[1]))
lists = ("cidrs", "ipv6Cidrs", "cidrListAliases")
ports = {
    f"{p['protocol']} {p['fromPort']} {p['toPort']}": [p[name] for name in lists] for p in r.get("portStates", [])
}
op = r.get("operation", {})
if not eval(sys.argv[2]):
    sys.exit(f"does not hold: {sys.argv[2]}")
PYTHON
  fi
  verdict "$title" $holds
}

# Fails, with this code and these words.
refuse() { # TITLE CODE WORDS ARGUMENTS...
  local title=$1 code=$2 words=$3 holds=0
  shift 3
  if ask "$@"; then holds=1; fi
  grep -qF "($code)" "$work/out" && grep -qF -- "$words" "$work/out" || holds=1
  verdict "$title" $holds
}

states() { # TITLE EXPRESSION
  check "$1" "$2" get-instance-port-states --instance-name web-1
}

states "the first rules are those of the file, with all seven members" \
  "r == {'portStates': [{'fromPort': 22, 'toPort': 22, 'protocol': 'tcp', 'state': 'open', 'cidrs': ['0.0.0.0/0'], 'ipv6Cidrs': ['::/0'], 'cidrListAliases': []}]}"

check "open: tcp in upper case, with all three lists" \
  "op['status'] == 'Succeeded' and op['isTerminal'] and op['operationType'] == 'OpenInstancePublicPorts' and op['operationDetails'] == '8080-8089/tcp' and op['resourceName'] == 'web-1' and op['location']['regionName'] == 'eu-central-1'" \
  open-instance-public-ports --instance-name web-1 --port-info \
  '{"fromPort":8080,"toPort":8089,"protocol":"TCP","cidrs":["192.0.2.44","198.51.100.9/24"],"ipv6Cidrs":["2001:DB8::1"],"cidrListAliases":["lightsail-connect"]}'
states "sources come back canonical, in the order of the request" \
  "ports['tcp 8080 8089'] == [['192.0.2.44/32', '198.51.100.0/24'], ['2001:db8::1/128'], ['lightsail-connect']]"
check "open: more sources of the same key" "op['isTerminal']" \
  open-instance-public-ports --instance-name web-1 \
  --port-info fromPort=8080,toPort=8089,protocol=tcp,cidrs=203.0.113.0/24
states "they are added to those that are there" \
  "ports['tcp 8080 8089'] == [['192.0.2.44/32', '198.51.100.0/24', '203.0.113.0/24'], ['2001:db8::1/128'], ['lightsail-connect']]"
check "open: udp without sources" "op['operationDetails'] == '53/udp'" \
  open-instance-public-ports --instance-name web-1 --port-info fromPort=53,toPort=53,protocol=udp
states "no source at all is the whole world" "ports['udp 53 53'] == [['0.0.0.0/0'], ['::/0'], []]"
check "close: two of the sources" "op['operationType'] == 'CloseInstancePublicPorts'" \
  close-instance-public-ports --instance-name web-1 \
  --port-info fromPort=8080,toPort=8089,protocol=tcp,cidrs=192.0.2.44/32,cidrListAliases=lightsail-connect
states "just those are gone" \
  "ports['tcp 8080 8089'] == [['198.51.100.0/24', '203.0.113.0/24'], ['2001:db8::1/128'], []]"
check "close: the whole key" "op['isTerminal']" \
  close-instance-public-ports --instance-name web-1 --port-info fromPort=22,toPort=22,protocol=tcp
states "the key is gone, the others are not" "sorted(ports) == ['tcp 8080 8089', 'udp 53 53']"

check "put: every protocol" "op['operationType'] == 'PutInstancePublicPorts' and op['status'] == 'Succeeded'" \
  put-instance-public-ports --instance-name web-1 --port-infos '[
    {"fromPort":443,"toPort":443,"protocol":"tcp","cidrs":["0.0.0.0/0"],"ipv6Cidrs":["::/0"]},
    {"fromPort":0,"toPort":65535,"protocol":"all","cidrs":["192.0.2.1/32"],"ipv6Cidrs":[],"cidrListAliases":[]},
    {"fromPort":8,"toPort":-1,"protocol":"icmp","cidrs":["192.0.2.0/24"]},
    {"fromPort":128,"toPort":0,"protocol":"icmpv6","ipv6Cidrs":["2001:db8::/32"]},
    {"fromPort":7000,"toPort":7010,"protocol":"udp","cidrs":["192.0.2.0/24"]},
    {"fromPort":22,"toPort":22,"protocol":"tcp","cidrListAliases":["lightsail-connect"]},
    {"fromPort":443,"toPort":443,"protocol":"tcp","cidrs":["10.0.0.0/8"]}]'
states "it replaces everything, keeps the order and merges what came twice" \
  "list(ports.items()) == [('tcp 443 443', [['0.0.0.0/0', '10.0.0.0/8'], ['::/0'], []]), ('all 0 65535', [['192.0.2.1/32'], [], []]), ('icmp 8 -1', [['192.0.2.0/24'], [], []]), ('icmpv6 128 0', [[], ['2001:db8::/32'], []]), ('udp 7000 7010', [['192.0.2.0/24'], [], []]), ('tcp 22 22', [[], [], ['lightsail-connect']])]"
id=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["operations"][-1]["id"])' \
  <("$aws" lightsail get-operations))
check "get-operation" "op['id'] == '$id' and op['operationType'] == 'PutInstancePublicPorts' and op['status'] == 'Succeeded'" \
  get-operation --operation-id "$id"
check "get-operations: oldest first" \
  "[o['operationType'][:4] for o in r['operations']] == ['Open', 'Open', 'Open', 'Clos', 'Clos', 'PutI']" get-operations
check "get-operations-for-resource" "len(r['operations']) == 6" get-operations-for-resource --resource-name web-1
check "get-instance: its rules in networking.ports" \
  "r['instance']['state'] == {'code': 16, 'name': 'running'} and r['instance']['tags'] == [{'key': 'role', 'value': 'web'}] and r['instance']['networking']['ports'][0] == {'fromPort': 443, 'toPort': 443, 'protocol': 'tcp', 'accessFrom': 'Anywhere (0.0.0.0/0 and ::/0)', 'accessType': 'public', 'commonName': '', 'accessDirection': 'inbound', 'cidrs': ['0.0.0.0/0', '10.0.0.0/8'], 'ipv6Cidrs': ['::/0'], 'cidrListAliases': []}" \
  get-instance --instance-name web-1
check "get-instances" "[i['name'] for i in r['instances']] == ['web-1', 'new-1', 'all-1'] and r['instances'][1]['state']['name'] == 'pending'" \
  get-instances
check "get-instances of another region" \
  "[(i['name'], i['ipAddressType'], 'publicIpAddress' in i) for i in r['instances']] == [('six-1', 'ipv6', False)]" \
  get-instances --region us-east-1
check "get-regions" "any(x['name'] == 'eu-central-1' and x['availabilityZones'] for x in r['regions'])" \
  get-regions --include-availability-zones
check "put: an empty list closes everything" "op['isTerminal']" \
  put-instance-public-ports --instance-name web-1 --port-infos '[]'
states "nothing is open" "r == {'portStates': []}"
check "get-instance-state" "r == {'state': {'code': 16, 'name': 'running'}}" get-instance-state --instance-name web-1
if python3 -c 'import json,sys; sys.exit(json.load(open(sys.argv[1]))["regions"]["eu-central-1"][0]["portStates"] != [])' \
  "$work/fleet.json"; then verdict "the file holds what the last write left" 0; else
  cp "$work/fleet.json" "$work/out"
  verdict "the file holds what the last write left" 1
fi

tags() { # TITLE EXPRESSION
  check "$1" "{t['key']: t['value'] for t in r['instance']['tags']} == $2" get-instance --instance-name web-1
}
check "tag-resource: two tags" "[o['status'] for o in r['operations']] == ['Succeeded']" \
  tag-resource --resource-name web-1 --tags 'key=portward:grant:1,value=v1 22/tcp' key=bare
tags "they are there beside those of the file" "{'role': 'web', 'portward:grant:1': 'v1 22/tcp', 'bare': ''}"
check "get-instances shows them too" \
  "[len(i['tags']) for i in r['instances']] == [3, 0, 0]" get-instances
check "tag-resource: a key that is there, with the ARN" "r['operations'][0]['isTerminal']" \
  tag-resource --resource-name web-1 --tags key=bare,value=new --resource-arn \
  arn:aws:lightsail:eu-central-1:123456789012:Instance/00000000-0000-4000-8000-000000000001
tags "it has the new value" "{'role': 'web', 'portward:grant:1': 'v1 22/tcp', 'bare': 'new'}"
check "untag-resource: a key that is there and one that is not" "len(r['operations']) == 1" \
  untag-resource --resource-name web-1 --tag-keys portward:grant:1 nothing
tags "the others stay" "{'role': 'web', 'bare': 'new'}"
if python3 -c 'import json,sys; sys.exit(json.load(open(sys.argv[1]))["regions"]["eu-central-1"][0]["tags"] != {"role": "web", "bare": "new"})' \
  "$work/fleet.json"; then verdict "the file has the tags" 0; else
  cp "$work/fleet.json" "$work/out"
  verdict "the file has the tags" 1
fi
refuse "a key that is reserved" InvalidInputException reserved \
  tag-resource --resource-name web-1 --tags key=aws:x,value=y
refuse "a character that no tag has" InvalidInputException "';'" \
  tag-resource --resource-name web-1 --tags 'key=a;b'
fifty=$(python3 -c 'import json; print(json.dumps([{"key": f"tag-{n}"} for n in range(49)]))')
refuse "more than 50 tags" InvalidInputException 50 tag-resource --resource-name web-1 --tags "$fifty"
refuse "tags of an unknown instance" NotFoundException "web-2" untag-resource --resource-name web-2 --tag-keys bare
tags "what was refused changed no tag" "{'role': 'web', 'bare': 'new'}"

refuse "a pending instance takes no writes" OperationFailureException pending \
  put-instance-public-ports --instance-name new-1 --port-infos '[]'
for _ in 1 2 3; do ask get-instance-state --instance-name new-1 || true; done
check "it runs after a few reads" "r['state'] == {'code': 16, 'name': 'running'}" get-instance-state --instance-name new-1
check "and takes writes then" "op['isTerminal']" \
  open-instance-public-ports --instance-name new-1 --port-info fromPort=22,toPort=22,protocol=tcp
check "where no source is the world of its address type" \
  "ports == {'tcp 22 22': [['0.0.0.0/0'], [], []]}" get-instance-port-states --instance-name new-1

refuse "an unknown instance" NotFoundException "The Instance does not exist: web-2" \
  get-instance-port-states --instance-name web-2
refuse "an instance of another region" NotFoundException "The Instance does not exist: web-1" \
  get-instance --instance-name web-1 --region us-east-1
refuse "an unknown operation" NotFoundException "does not exist" get-operation --operation-id nothing
refuse "a name that is none" InvalidInputException "x is not a valid resource name" get-instance --instance-name x
wrong() { # TITLE WORDS PORT_INFO
  refuse "$1" InvalidInputException "$2" open-instance-public-ports --instance-name web-1 --port-info "$3"
}
wrong "a protocol that is none" sctp '{"fromPort":1,"toPort":1,"protocol":"sctp"}'
wrong "a port above 65535" 65536 '{"fromPort":1,"toPort":65536,"protocol":"tcp"}'
wrong "a range that ends before it starts" 90-80 '{"fromPort":90,"toPort":80,"protocol":"tcp"}'
wrong "an ICMP type above 255" 256 '{"fromPort":256,"toPort":0,"protocol":"icmp"}'
wrong "all with ports" 22 '{"fromPort":22,"toPort":22,"protocol":"all"}'
wrong "a rule without a protocol" protocol '{"fromPort":1,"toPort":1}'
wrong "a network that is none" 192.0.2.0/33 '{"fromPort":1,"toPort":1,"protocol":"tcp","cidrs":["192.0.2.0/33"]}'
wrong "an IPv4 network among the IPv6 ones" 10.0.0.0/8 '{"fromPort":1,"toPort":1,"protocol":"tcp","ipv6Cidrs":["10.0.0.0/8"]}'
wrong "an alias that is none" office '{"fromPort":1,"toPort":1,"protocol":"tcp","cidrListAliases":["office"]}'
many=$(python3 -c 'import json; print(json.dumps({"fromPort": 1, "toPort": 1, "protocol": "tcp", "cidrs": [f"192.0.2.{n}" for n in range(61)]}))')
wrong "more than 60 sources of a family" 60 "$many"
states "what was refused changed nothing" "r == {'portStates': []}"

AWS_SECRET_ACCESS_KEY=wrong refuse "a wrong secret" InvalidSignatureException "does not match" get-instances
AWS_ACCESS_KEY_ID=other refuse "an unknown access key" UnrecognizedClientException "invalid" get-instances
AWS_SESSION_TOKEN=token refuse "a session token beside permanent keys" UnrecognizedClientException "invalid" get-instances

holds=0
"$aws" sts get-caller-identity >"$work/out" 2>&1 || holds=1
grep -qF '"Account": "123456789012"' "$work/out" || holds=1
verdict "sts get-caller-identity: the account of the instances" $holds
holds=0
if AWS_SECRET_ACCESS_KEY=wrong "$aws" sts get-caller-identity >"$work/out" 2>&1; then holds=1; fi
grep -qF "(SignatureDoesNotMatch)" "$work/out" || holds=1
verdict "sts with a wrong secret" $holds

# Temporary credentials: those of a role are good for its account, and only with their token.
keys() { python3 -c 'import json,sys; c=json.load(open(sys.argv[1]))["Credentials"]; print(c["AccessKeyId"], c["SecretAccessKey"], c["SessionToken"])' "$work/out"; }
role() { "$aws" sts assume-role --role-arn "arn:aws:iam::$1:role/portward" --role-session-name portward >"$work/out" 2>&1; }
holds=0
role 123456789012 || holds=1
grep -qF '"Arn": "arn:aws:sts::123456789012:assumed-role/portward/portward"' "$work/out" || holds=1
verdict "sts assume-role" $holds
if [ $holds = 0 ]; then
  read -r key secret token < <(keys)
  AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret AWS_SESSION_TOKEN=$token \
    check "the role sees the instances of its account" "r['instances']" get-instances
  AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=$secret \
    refuse "its keys without the token" UnrecognizedClientException "invalid" get-instances
  AWS_ACCESS_KEY_ID=$key AWS_SECRET_ACCESS_KEY=wrong AWS_SESSION_TOKEN=$token \
    refuse "its keys with a wrong secret" InvalidSignatureException "does not match" get-instances
fi
holds=0
if role 999999999999; then holds=1; fi
grep -qF "(AccessDenied)" "$work/out" || holds=1
verdict "sts assume-role of an account that is not there" $holds
web() { "$aws" sts assume-role-with-web-identity --role-arn arn:aws:iam::123456789012:role/ci --role-session-name ci --web-identity-token "$1" >"$work/out" 2>&1; }
holds=0
web e30.e30.c2ln || holds=1
grep -qF '"AccessKeyId": "ASIA' "$work/out" || holds=1
verdict "sts assume-role-with-web-identity" $holds
holds=0
if web nonsense; then holds=1; fi
grep -qF "(InvalidIdentityToken)" "$work/out" || holds=1
verdict "sts with a token that is none" $holds

echo "$((number - failed)) passed, $failed failed"
[ "$failed" = 0 ]
