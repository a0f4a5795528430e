#!/usr/bin/env python3
"""Stands between a client and the emulator, passes everything on, and writes down what happened.

Owns the timeline: one JSON line a request, with the rules that the emulator's state file holds right after it. Throttles
as AWS documents it, and can refuse one action, to show what is left when the last call fails. Knows nothing about
Terraform or portward, listens on loopback only, and uses nothing but the standard library.

    recorder.py serve UPSTREAM STATE LOG CONTROL            prints its own URL, then serves until it is killed
    recorder.py fleet INSTANCES RULES                       an inventory of instances with so many rules each
    recorder.py terraform INSTANCES RULES ADDRESS URL       the same as a Terraform module, SSH from ADDRESS
    recorder.py toml INSTANCES RULES ADDRESS                the same as a portward configuration
    recorder.py summary LOG STATE                           what the timeline says, as `key=value` lines
"""

import http.client
import http.server
import json
import pathlib
import sys
import threading
import time

REGION = "eu-central-1"
FIRST = "198.51.100.7/32"
# Burst and refill a second for each action, as the user guide of Lightsail has them; any other Get action has (20, 10).
BUCKETS = {"GetInstance": (20, 5), "GetInstances": (20, 5)}
WRITES = ("OpenInstancePublicPorts", "CloseInstancePublicPorts", "PutInstancePublicPorts")
BUCKETS |= {action: (20, 5) for action in WRITES}


def rules(count, address):
    """`count` rules, SSH first; all but SSH are the same whatever the address."""
    everyone = (["0.0.0.0/0"], ["::/0"])
    yield "tcp", 22, [address, "203.0.113.0/24"], ["2001:db8:10::/48"]
    for port in (80, 443)[: count - 1]:
        yield "tcp", port, *everyone
    for port in range(9001, 9001 + count - 3):
        yield "tcp", port, ["203.0.113.0/24"], []


def names(instances):
    return [f"web-{number}" for number in range(1, instances + 1)]


def open_rules(state):
    """The rules of each instance in the emulator's file, as `tcp/22`."""
    document = json.loads(pathlib.Path(state).read_text(encoding="utf-8"))
    return {
        instance["name"]: [f"{rule['protocol']}/{rule['fromPort']}" for rule in instance["portStates"]]
        for instance in document["regions"][REGION]
    }


def fleet(instances, count):
    states = [
        {
            "fromPort": port,
            "toPort": port,
            "protocol": protocol,
            "state": "open",
            "cidrs": cidrs,
            "ipv6Cidrs": ipv6,
            "cidrListAliases": [],
        }
        for protocol, port, cidrs, ipv6 in rules(count, FIRST)
    ]
    fleet = [
        {
            "name": name,
            "arn": f"arn:aws:lightsail:{REGION}:123456789012:Instance/{name}",
            "tags": {},
            "state": "running",
            "ipAddressType": "dualstack",
            "portStates": states,
        }
        for name in names(instances)
    ]
    return json.dumps({"format": "portward.inventory", "version": 1, "regions": {REGION: fleet}})


def terraform(instances, count, address, url):
    blocks = "".join(
        f"""
  port_info {{
    protocol   = "{protocol}"
    from_port  = {port}
    to_port    = {port}
    cidrs      = {json.dumps(cidrs)}
    ipv6_cidrs = {json.dumps(ipv6)}
  }}
"""
        for protocol, port, cidrs, ipv6 in rules(count, address)
    )
    return f"""terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws" }}
  }}
}}

provider "aws" {{
  region                      = "{REGION}"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
  endpoints {{ lightsail = "{url}" }}
}}

resource "aws_lightsail_instance_public_ports" "web" {{
  for_each      = toset({json.dumps(names(instances))})
  instance_name = each.value
{blocks}}}
"""


def toml(instances, count, address):
    lines = [
        f'  {{ allow = "{protocol}/{port}", from = {json.dumps(cidrs + ipv6)} }},'
        for protocol, port, cidrs, ipv6 in rules(count, address)
    ]
    return "\n".join(
        ["version = 1", f'defaults = {{ region = "{REGION}" }}', "[groups.web]", 'match = { name = "web-*" }',
         f"expect = {instances}", "rules = [", *lines, "]", ""]
    )


def summary(log, state):
    events = [json.loads(line) for line in pathlib.Path(log).read_text(encoding="utf-8").splitlines()]
    steps = {}
    for event in events:
        if event["action"] in WRITES:
            verb = event["action"].removesuffix("InstancePublicPorts")
            verb += {200: "", 403: " throttled"}.get(event["status"], " refused")
            steps[verb] = steps.get(verb, 0) + 1
    left = open_rules(state)
    shut = [shut_for(events, name) for name in left]
    print(f"requests={len(events)}")
    print("writes=" + (", ".join(f"{count} {verb}" for verb, count in steps.items()) or "none"))
    if all(time == 0.0 for time in shut):
        print("shut=never")
    elif any(time is None for time in shut):
        print(f"shut=for good on {shut.count(None)}")
    else:
        print(f"shut={min(shut):.1f} to {max(shut):.1f} s")
    print(f"left={sum(map(len, left.values()))}")
    print(f"took={events[-1]['t'] - events[0]['t']:.1f} s" if events else "took=nothing")


def shut_for(events, name):
    """For how many seconds tcp/22 of an instance was shut; `None` if it still is."""
    total, since = 0.0, None
    for event in events:
        shut = name in event["shut"]
        if shut and since is None:
            since = event["t"]
        elif not shut and since is not None:
            total, since = total + event["t"] - since, None
    return total if since is None else None


def serve(upstream, state, log, control):
    host, port = upstream.removeprefix("http://").split(":")
    lock = threading.Lock()
    buckets = {}

    def throttled(action):
        burst, refill = BUCKETS.get(action, (20, 10))
        now = time.monotonic()
        tokens, at = buckets.get(action, (burst, now))
        tokens = min(burst, tokens + (now - at) * refill)
        buckets[action] = (max(tokens - 1, 0) if tokens >= 1 else tokens, now)
        return tokens < 1

    def refuse(status, code):
        reply = json.dumps({"__type": code, "message": "The recorder says no."}).encode()
        return status, [("content-type", "application/x-amz-json-1.1")], reply

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            action = self.headers.get("x-amz-target", "").rpartition(".")[2]
            # One request at a time, so that the state that is read belongs to the request before it.
            with lock:
                status, headers, reply = self.refusal(action) or self.forward(body)
                shut = [name for name, left in open_rules(state).items() if "tcp/22" not in left]
                event = {"t": time.monotonic(), "action": action, "status": status, "shut": shut}
                with open(log, "a", encoding="utf-8") as file:
                    file.write(json.dumps(event) + "\n")
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def refusal(self, action):
            if throttled(action):
                return refuse(403, "ThrottlingException")
            if pathlib.Path(control).read_text(encoding="utf-8").strip() == action:
                return refuse(400, "AccessDeniedException")
            return None

        def forward(self, body):
            # Every header goes on as it came, `Host` included: it is part of what was signed.
            connection = http.client.HTTPConnection(host, int(port), timeout=30)
            connection.putrequest("POST", self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            reply = connection.getresponse()
            kept = [(name, value) for name, value in reply.getheaders() if name.lower() in ("content-type", "x-amzn-requestid")]
            result = reply.status, kept, reply.read()
            connection.close()
            return result

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def main():
    match sys.argv[1:]:
        case ["serve", upstream, state, log, control]:
            serve(upstream, state, log, control)
        case ["fleet", instances, count]:
            print(fleet(int(instances), int(count)))
        case ["terraform", instances, count, address, url]:
            print(terraform(int(instances), int(count), address, url))
        case ["toml", instances, count, address]:
            print(toml(int(instances), int(count), address))
        case ["summary", log, state]:
            summary(log, state)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
