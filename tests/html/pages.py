#!/usr/bin/env python3
"""Every kind of page that portward writes, from the example fleet and from one of 300 instances of which 10 differ.

usage: pages.py PORTWARD FOLDER
"""

import copy
import json
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORLD = (["0.0.0.0/0"], ["::/0"])
MANY = """version = 1
[defaults]
regions = ["eu-central-1", "us-east-1"]
[addresses]
office = ["203.0.113.0/24", "2001:db8:10::/48"]
[rulesets]
base = [{ allow = "ssh", from = ["office", "lightsail-connect"] }, { allow = "ping", from = "anywhere" }]
[groups.web]
match = { name = "web-*" }
use = ["base"]
rules = [{ allow = ["http", "https"], from = "anywhere" }]
[groups.db]
match = { name = "db-*" }
use = ["base"]
rules = [{ allow = "postgres", from = "office" }]
[groups.mail]
match = { name = "mail-*" }
use = ["base"]
rules = [{ allow = ["smtp", "submission", "imaps"], from = "anywhere" }]
"""


def rule(protocol, ports, cidrs, ipv6=(), aliases=()):
    first, last = ports
    return {
        "protocol": protocol,
        "fromPort": first,
        "toPort": last,
        "state": "open",
        "cidrs": list(cidrs),
        "ipv6Cidrs": list(ipv6),
        "cidrListAliases": list(aliases),
    }


def tcp(port, cidrs, ipv6=(), aliases=()):
    return rule("tcp", (port, port), cidrs, ipv6, aliases)


def many():
    """300 instances; 4 kinds of them, of each kind a few that differ in ways of their own."""
    ping = [rule("icmp", (8, -1), ["0.0.0.0/0"]), rule("icmpv6", (128, 0), [], ["::/0"])]
    ssh = tcp(22, ["203.0.113.0/24"], ["2001:db8:10::/48"], ["lightsail-connect"])
    kinds = {
        "web": [tcp(80, *WORLD), tcp(443, *WORLD)],
        "db": [tcp(5432, ["203.0.113.0/24"], ["2001:db8:10::/48"])],
        "mail": [tcp(port, *WORLD) for port in (25, 587, 993)],
    }
    regions = {"eu-central-1": [], "us-east-1": []}
    for number in range(300):
        kind = list(kinds)[min(number % 10 // 7, 1) + (number % 10 == 9)]
        rules = copy.deepcopy([ssh, *ping, *kinds[kind]])
        name = f"{kind}-{number:03}"
        if number in (11, 12, 13):
            rules = [r for r in rules if r["fromPort"] != 443]
        if number in (21, 22):
            rules.append(tcp(8080, *WORLD))
        if number == 31:
            rules.append(tcp(3306, *WORLD))
        if number == 47:
            rules[-1]["cidrs"] += ["198.51.100.0/24", "192.0.2.44/32"]
        if number == 52:
            rules[0]["ipv6Cidrs"] = ["2001:db8:1234:5678:9abc::/80"]
        if number == 61:
            rules.append(rule("tcp", (8000, 8099), ["198.51.100.7/32"]))
        if number == 73:
            rules.append(rule("udp", (60000, 61000), ["192.0.2.0/24"]))
            name += "-" + "of_a_name_without_a_place_to_break_it" * 2
        regions["us-east-1" if number % 3 == 0 else "eu-central-1"].append(
            {
                "name": name,
                "arn": f"arn:aws:lightsail:eu-central-1:123456789012:Instance/0f8b6a3c-5d1e-4c57-9a40-{number:012}",
                "tags": {},
                "state": "running",
                "ipAddressType": "dualstack",
                "portStates": rules,
            }
        )
    return {"format": "portward.inventory", "version": 1, "regions": regions}


WIDE = {"ssh": 22, "smtp": 25, "http": 80, "https": 443, "imaps": 993, "mysql": 3306, "postgres": 5432, "rdp": 3389}


def wide():
    """More services that change than a table has columns: one instance with long lists of sources, one with long sources."""
    lines = {"wide-1": [], "wide-2": []}
    rules = {"wide-1": [], "wide-2": []}

    def change(name, service, port, old, new):
        lines[name].append(f"  {{ allow = {json.dumps(service)}, from = {json.dumps([old[0], *new])} }},")
        rules[name].append(tcp(port, [n for n in old if "." in n], [n for n in old if ":" in n]))

    for at, (service, port) in enumerate(WIDE.items()):
        old = [f"198.51.100.{10 * at + n}/32" for n in range(6)] + [f"2001:db8:ffff:{at}{n}::/64" for n in range(6)]
        new = [f"203.0.113.{10 * at + n}" for n in range(6)] + [f"2001:db8:{at}:{n}::/64" for n in range(5)]
        change("wide-1", service, port, old, new)
        old, new = ([f"2001:db8:{side}:5678:9abc:def0:{at}:{n}123/128" for n in (1, 2)] for side in (1111, 2222))
        change("wide-2", service, port, ["198.51.100.7/32", *old], new)
    config = 'version = 1\ndefaults = { region = "eu-central-1" }\n'
    for name, rows in lines.items():
        config += "\n".join([f"[instances.{name}]", "rules = [", *rows, "]", ""])
    fleet = example()
    instance = next(one for one in fleet["regions"]["eu-central-1"] if one["ipAddressType"] == "dualstack")
    made = [
        {**instance, "name": name, "arn": f"{instance['arn'][:-1]}{at}", "tags": {}, "portStates": rules[name]}
        for at, name in enumerate(rules)
    ]
    fleet["regions"] = {"eu-central-1": made}
    return config, fleet


def example():
    return json.loads((ROOT / "examples/fleet.json").read_text(encoding="utf-8"))


def partly_unreadable():
    fleet = example()
    for instance in fleet["regions"]["eu-central-1"]:
        if instance["name"] == "mail-1":
            instance["portStates"] = None
        if instance["name"] == "web-1":
            instance["portStates"].append(rule("sctp", (22, 22), ["0.0.0.0/0"]))
    return fleet


def main():
    portward, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    out.mkdir(parents=True, exist_ok=True)

    def written(name, content):
        path = out / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return name

    # Beside its include, so that it can be told apart from nothing else.
    shutil.copytree(ROOT / "examples/fleet", out / "examples/fleet", dirs_exist_ok=True)
    config = written("firewall.toml", (ROOT / "firewall.example.toml").read_text(encoding="utf-8"))
    refused = (ROOT / "firewall.example.toml").read_text(encoding="utf-8")
    for old, new in [
        ('{ allow = "postgres", from = "office" }', '{ allow = "postgres", from = "anywhere" }'),
        ("max-instances = 10", "max-instances = 2"),
        ('admins = ["office", "198.51.100.7"]', 'admins = ["office"]\nhome = ["192.0.2.1", "2001:db8:20::1"]'),
        ('from = ["admins", "lightsail-connect"], owner', 'from = "home", owner'),
    ]:
        assert old in refused, old
        refused = refused.replace(old, new)
    refused = written("refused.toml", refused)
    fleet = written("fleet.json", example())
    emulated = written("emulated.json", example())
    partly = written("partly.json", partly_unreadable())
    wide_config, wide_fleet = wide()
    wide_config, wide_fleet = written("wide.toml", wide_config), written("wide.json", wide_fleet)
    many_config, many_fleet = written("many.toml", MANY), written("many.json", many())
    pages = [
        ("plan", ["plan", "-c", config, "--inventory", fleet, "--out", "plan.json"], 0),
        ("refused", ["plan", "-c", refused, "--inventory", fleet], 3),
        ("drift", ["drift", "-c", config, "--inventory", fleet], 2),
        ("diff", ["diff", fleet, config], 2),
        ("applied", ["apply", "-c", config, "--emulator", emulated, "--yes"], 0),
        ("clean", ["drift", "-c", config, "--emulator", emulated], 0),
        ("partly", ["drift", "-c", config, "--inventory", partly], 6),
        ("many", ["plan", "-c", many_config, "--inventory", many_fleet], 0),
        ("many-drift", ["drift", "-c", many_config, "--inventory", many_fleet], 2),
        ("wide", ["plan", "-c", wide_config, "--inventory", wide_fleet], 0),
        ("wide-drift", ["drift", "-c", wide_config, "--inventory", wide_fleet], 2),
        ("check", ["check", "-c", refused], 3),
        ("failed", ["plan", "-c", config, "--inventory", "no-such.json"], 1),
    ]
    for name, arguments, code in pages:
        page = out / f"{name}.html"
        done = subprocess.run(
            [portward, *arguments, "--report", f"html={page}"], cwd=out, capture_output=True, text=True, check=False
        )
        if done.returncode != code or not page.exists():
            sys.exit(f"{name} ended with {done.returncode} and not with {code}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
