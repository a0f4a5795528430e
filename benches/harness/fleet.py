"""Fleets that are made up: inventories and the configurations that fit them.

Owns names, rules and sources, all of them from ranges for documentation. The same numbers give the same texts. Refuses
to know who reads them.
"""

import ipaddress
import json

from emulator import REGION

FIRST, SECOND = "198.51.100.7/32", "198.51.100.8/32"
OFFICE = "203.0.113.0/24"


def name(number):
    return f"web-{number:06}"


def sources(count, seed):
    """`count` single addresses out of 52.0.0.0/15, which no two rules of one firewall share. Nobody is asked there."""
    base = int(ipaddress.IPv4Address("52.0.0.0"))
    return [f"{ipaddress.IPv4Address(base + (seed * count + number) % 131_072)}/32" for number in range(count)]


def rules(count, per_rule=2, ssh=FIRST):
    """`count` rules as (port, sources); SSH is the first. Its first source is what changes."""
    yield 22, [ssh, OFFICE, *sources(max(per_rule - 2, 0), 99)]
    for number in range(1, count):
        yield 9000 + 10 * number, sources(per_rule, number)


def port_states(rules):
    return [
        {
            "fromPort": port,
            "toPort": port,
            "protocol": "tcp",
            "state": "open",
            "cidrs": sorted(cidrs, key=lambda cidr: ipaddress.ip_network(cidr)),
            "ipv6Cidrs": [],
            "cidrListAliases": [],
        }
        for port, cidrs in rules
    ]


def wanted(rules):
    """The ports that must never be shut, as the log of the emulator names them."""
    return frozenset(f"tcp/{port}-{port}" for port, _ in rules)


def inventory(path, instances, rules):
    """Writes an inventory of so many instances, all with these rules. Piece by piece: they can be large."""
    states = json.dumps(port_states(rules))
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"format": "portward.inventory", "version": 1, "regions": {"%s": [' % REGION)
        for number in range(1, instances + 1):
            arn = f"arn:aws:lightsail:{REGION}:123456789012:Instance/{number:08x}"
            head = {"name": name(number), "arn": arn, "state": "running", "ipAddressType": "dualstack"}
            comma = "," if number > 1 else ""
            file.write(f'{comma}\n{json.dumps(head)[:-1]}, "portStates": {states}}}')
        file.write("\n]}}\n")
    return path


HEAD = f"""version = 1
defaults = {{ region = "{REGION}" }}

[guard]
max-instances = 1000000
max-closed = 1000000

"""


def lines(rules):
    return "".join(f'  {{ allow = "tcp/{port}", from = {json.dumps(cidrs)} }},\n' for port, cidrs in rules)


def group(path, rules):
    """Writes a configuration that declares the rules once, for a group of everything."""
    path.write_text(f'{HEAD}[groups.web]\nmatch = {{ name = "web-*" }}\nrules = [\n{lines(rules)}]\n', encoding="utf-8")
    return path


def apart(path, instances, rules):
    """Writes a configuration in which every instance has a table and rules of its own."""
    each = lines(rules)
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD)
        for number in range(1, instances + 1):
            file.write(f"[instances.{name(number)}]\nrules = [\n{each}]\n\n")
    return path
