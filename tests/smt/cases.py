"""Random firewalls, what is wanted of them, and how both are spelled.

Owns the dice: a case depends on the seed and its number alone. Values are few and overlap a lot: networks nest, are halves
of each other and touch both ends of their space, and so do ports. Does not know what is right.
"""

import json
import random

from meaning import BROWSER_CLIENT, EVERYONE, V4, V6, Sources
from texts import Live, cells_of, lists_of, network, network_text

PORTS = [0, 1, 22, 23, 24, 80, 443, 65534, 65535]
NUMBERS = [-1, 0, 8, 128, 255]
NETWORKS = [
    network(text)
    for text in """
    0.0.0.0/0 0.0.0.0/1 128.0.0.0/1 64.0.0.0/2 198.51.100.0/24 198.51.100.0/25 198.51.100.128/25 198.51.100.7/32
    198.51.101.0/24 203.0.113.0/24 203.0.113.44/32 203.0.113.45/32 203.0.113.44/31 255.255.255.254/31 255.255.255.255/32
    ::/0 ::/1 8000::/1 2001:db8::/32 2001:db8:8000::/33 2001:db8:10::/48 2001:db8:10::7/128
    ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128
    """.split()
]
SERVICES = {
    "ssh": [("tcp", 22, 22)],
    "telnet": [("tcp", 23, 23)],
    "https": [("tcp", 443, 443)],
    "ping": [("icmp", 8, -1), ("icmpv6", 128, 0)],
    "app": [("tcp", 23, 80), ("udp", 1, 1)],
}


def draw_key(dice):
    protocol = dice.choice(["tcp"] * 5 + ["udp"] * 2 + ["icmp"] * 2 + ["icmpv6", "all"])
    if protocol == "all":
        return (protocol, 0, 65535)
    if protocol in ("icmp", "icmpv6"):
        kind, code = dice.choice(NUMBERS), dice.choice(NUMBERS)
        # One code of every type is 256 cells apart from each other: right, costly, and seen often enough.
        return (protocol, kind, -1 if kind == -1 and dice.random() < 0.8 else code)
    ports = PORTS if dice.random() < 0.9 else range(65536)
    first, last = sorted((dice.choice(ports), dice.choice(ports)))
    return (protocol, first, first if dice.random() < 0.4 else last)


def draw_network(dice):
    if dice.random() < 0.93:
        return dice.choice(NETWORKS)
    family = dice.choice([V4, V6])
    width = 32 if family == V4 else 128
    length = dice.randint(1, width)
    return (family, dice.getrandbits(length) << (width - length), length)


def draw_sources(dice):
    if dice.random() < 0.08:
        return EVERYONE
    nets = frozenset(draw_network(dice) for _ in range(dice.choice([0, 1, 1, 1, 2, 2, 3])))
    aliases = frozenset([BROWSER_CLIENT] if dice.random() < (0.25 if nets else 1) else [])
    return Sources(nets, aliases)


def draw_rules(dice, most):
    rules = {}
    for _ in range(dice.randint(0, most)):
        key, sources = draw_key(dice), draw_sources(dice)
        before = rules.get(key, Sources(frozenset(), frozenset()))
        rules[key] = Sources(before.networks | sources.networks, before.aliases | sources.aliases)
    return rules


def changed(dice, rules):
    """Rules near these: what a change looks like."""
    rules = dict(rules)
    for _ in range(dice.choice([0, 1, 1, 2, 3])):
        what = dice.random()
        if what < 0.3 or not rules:
            rules[draw_key(dice)] = draw_sources(dice)
            continue
        key = dice.choice(sorted(rules))
        sources = rules.pop(key)
        nets = set(sources.networks)
        if what < 0.5:
            continue
        if what < 0.65 and nets:
            nets.discard(dice.choice(sorted(nets)))
        elif what < 0.8:
            nets.add(draw_network(dice))
        elif what < 0.85 and nets:
            # The same addresses as halves.
            family, number, length = dice.choice(sorted(nets))
            width = 32 if family == V4 else 128
            if length < width:
                nets -= {(family, number, length)}
                nets |= {(family, number, length + 1), (family, number | 1 << (width - length - 1), length + 1)}
        elif what < 0.9 and key[0] in ("tcp", "udp") and key[1] < key[2]:
            # The same ports as two ranges.
            rules[(key[0], key[1] + 1, key[2])] = sources
            key = (key[0], key[1], key[1])
        else:
            sources = Sources(sources.networks, sources.aliases ^ {BROWSER_CLIENT})
        sources = Sources(frozenset(nets), sources.aliases)
        if not sources.is_empty():
            rules[key] = sources
    return rules


def entry(key, sources):
    """The canonical entry of a rule."""
    return {"protocol": key[0], "fromPort": key[1], "toPort": key[2], "state": "open", **lists_of(sources)}


def misspelt(dice, text):
    """Another text for the same network."""
    net = network(text)
    family, number, length = net
    width = 32 if family == V4 else 128
    kind = dice.random()
    if kind < 0.4 and length == width:
        return text.split("/")[0]
    if kind < 0.7 and length < width:
        host = dice.getrandbits(width - length)
        return network_text((family, number | host, width)).rsplit("/", 1)[0] + f"/{length}"
    return text.upper()


def spelled(dice, rules):
    """Entries as a service might echo them, and what it might add that changes nothing."""
    entries = [entry(key, sources) for key, sources in rules.items()]
    if dice.random() < 0.5:
        dice.shuffle(entries)
        return entries
    for one in list(entries):
        kind = dice.random()
        if kind < 0.15:
            one["protocol"] = dice.choice([one["protocol"].upper(), one["protocol"].capitalize()])
        elif kind < 0.25:
            one["protocol"] = {"icmpv6": "icmp6", "all": "-1"}.get(one["protocol"], one["protocol"])
        elif kind < 0.4:
            for name in ("cidrs", "ipv6Cidrs"):
                one[name] = [misspelt(dice, text) for text in one[name]]
        elif kind < 0.5:
            for name in ("cidrs", "ipv6Cidrs", "cidrListAliases"):
                one[name] = dice.sample(one[name], len(one[name]))
        elif kind < 0.57:
            # One rule as two entries, which share a source.
            more = dict(one, cidrs=[], ipv6Cidrs=[], cidrListAliases=[])
            name = dice.choice([name for name in ("cidrs", "ipv6Cidrs", "cidrListAliases") if one[name]])
            more[name] = list(one[name])
            entries.append(more)
        elif kind < 0.62:
            one["cidrs"], one["ipv6Cidrs"] = one["cidrs"] + one["ipv6Cidrs"], []
        elif kind < 0.7:
            del one["state"]
            for name in ("cidrs", "ipv6Cidrs", "cidrListAliases"):
                if not one[name]:
                    del one[name]
    if dice.random() < 0.2:
        entries.append(dict(entry(draw_key(dice), draw_sources(dice)), state="closed"))
    dice.shuffle(entries)
    return entries


def doubt(dice):
    """An entry that cannot be read for certain."""
    key, sources = draw_key(dice), draw_sources(dice)
    one = entry(key, sources)
    kind = dice.randrange(6)
    if kind <= 2:
        one.update(cidrs=[], ipv6Cidrs=[], cidrListAliases=[])
    elif kind == 3:
        one["cidrs"].append("somewhere")
    elif kind == 4:
        one.update(dice.choice([{"protocol": "all", "fromPort": -1, "toPort": -1},
                                {"protocol": "tcp", "fromPort": 90, "toPort": 80}]))
    else:
        one["protocol"] = dice.choice(["gre", "sctp"])
    return one


class Case:
    """One instance: two live firewalls, and what two configurations want of it."""

    def __init__(self, seed, number):
        self.number, self.name = number, f"c{number:05}"
        self.dice = dice = random.Random(f"{seed}/{number}")
        self.address_type = dice.choice(["dualstack"] * 6 + ["ipv4", "ipv6"])
        # The family over which the browser client comes.
        self.family = V6 if self.address_type == "ipv6" else V4
        self.mode = dice.choice(["authoritative"] * 4 + ["additive"] * 3 + ["observe"])
        self.strategy = dice.choice(["auto"] * 3 + ["put", "incremental"])
        rules = draw_rules(dice, 5)
        other = changed(dice, rules) if dice.random() < 0.7 else draw_rules(dice, 5)
        self.live, self.next = spelled(dice, rules), spelled(dice, other)
        self.is_doubtful = dice.random() < 0.15
        if self.is_doubtful:
            for entries in dice.choice([[self.live], [self.next], [self.live, self.next]]):
                entries.insert(dice.randint(0, len(entries)), doubt(dice))
        lines = changed(dice, rules) if dice.random() < 0.7 else draw_rules(dice, 5)
        self.config = Wanted(self, lines, self.mode)
        self.other = Wanted(self, other, "authoritative")

    def entry(self, entries):
        return {
            "name": self.name,
            "arn": f"arn:aws:lightsail:eu-central-1:123456789012:Instance/{self.name}",
            "state": "running",
            "ipAddressType": self.address_type,
            "portStates": entries,
        }


class Wanted:
    """What a configuration says of the instance of a case: the rules that come of it, and its text."""

    def __init__(self, case, rules, mode):
        self.case, self.dice, self.sets = case, case.dice, []
        self.declared, self.absent, self.expired, lines = [], [], [], []
        for key, sources in rules.items():
            over = mode == "additive" and self.dice.random() < 0.12
            lines.append(self.line(self.keys(key), sources, over))
        own = [f'mode = "{mode}"', f'strategy = "{case.strategy}"']
        ruleset = f"r{case.name}"
        shared = [line for line in lines if self.dice.random() < 0.15]
        self.rulesets = f"{ruleset} = [{', '.join(shared)}]\n" if shared else ""
        own += [f'use = ["{ruleset}"]'] if shared else []
        own += [f"rules = [{', '.join(line for line in lines if line not in shared)}]"]
        if mode == "additive":
            absent = [text for text in (self.gone() for _ in range(self.dice.randint(0, 2))) if text]
            own += [f"absent = [{', '.join(absent)}]"] if absent else []
        head = f"[instances.{case.name}]"
        if self.dice.random() < 0.2:
            head = f'[groups.{case.name}]\nmatch = {{ name = "{case.name}" }}'
        self.table = "\n".join([head, *own]) + "\n"

    def keys(self, key):
        """The key as a configuration names it, with the keys that the name opens."""
        for name, keys in SERVICES.items():
            if key in keys and self.dice.random() < 0.5:
                return name, keys
        protocol, first, last = key
        if protocol == "all":
            return "all", [key]
        if protocol in ("icmp", "icmpv6"):
            code = "" if last == -1 and self.dice.random() < 0.5 else f":{last}"
            return protocol if not code and first == -1 else f"{protocol}/{first}{code}", [key]
        return f"{protocol}/{first}" if first == last else f"{protocol}/{first}-{last}", [key]

    def who(self, sources):
        """The sources as a configuration names them: always by a name, so that a family that does not fit is left out."""
        names, nets = [], set(sources.networks)
        if EVERYONE.networks <= nets and self.dice.random() < 0.7:
            nets -= EVERYONE.networks
            names.append("anywhere")
        for net in list(nets):
            if net[2] == 0 and self.dice.random() < 0.5:
                nets.discard(net)
                names.append("anywhere-v4" if net[0] == V4 else "anywhere-v6")
        names += sorted(sources.aliases)
        texts = [network_text(net) for net in sorted(nets)]
        # A single address may stand without its length.
        texts = [t.rsplit("/", 1)[0] if t.endswith(("/32", "/128")) and network(t.rsplit("/", 1)[0]) == network(t)
                 and self.dice.random() < 0.5 else t for t in texts]
        if texts:
            name = f"s{self.case.name}-{len(self.sets)}"
            self.sets.append(f"{name} = {json.dumps(texts)}\n")
            names.append(name)
        self.dice.shuffle(names)
        return json.dumps(names[0] if len(names) == 1 and self.dice.random() < 0.5 else names)

    def fitting(self, key, sources):
        """What of the sources the protocol and the instance take."""
        lacks = {"ipv4": V6, "ipv6": V4}.get(self.case.address_type)
        return of_families(families_of(key) - {lacks}, sources)

    def line(self, allow, sources, over):
        name, keys = allow
        text = f'{{ allow = "{name}", from = {self.who(sources)}'
        for key in keys:
            if over:
                self.expired.append((key, of_protocol(key, sources)))
                continue
            fits = self.fitting(key, sources)
            if not fits.is_empty():
                self.declared.append((key, fits))
        return text + (", until = 2020-01-01 }" if over else " }")

    def gone(self):
        """Something that must go, and that nothing of what is declared could be meant by."""
        live = Live(self.case.live).rules
        if live and self.dice.random() < 0.8:
            key, sources = self.dice.choice(live)
            if key[0] == "tcp" and key[1] < key[2] and self.dice.random() < 0.4:
                key = ("tcp", key[1] + 1, key[2])
        else:
            key, sources = draw_key(self.dice), draw_sources(self.dice)
        name, keys = self.keys(key)
        whole = self.dice.random() < 0.5
        sources = Sources(sources.networks, frozenset())
        if not whole and sources.is_empty():
            return None
        for key in keys:
            for declared, who in self.declared:
                if share_cell(key, declared) and (whole or share_source(sources, who)):
                    return None
        self.absent += [(key, None if whole else of_protocol(key, sources)) for key in keys]
        return f'{{ allow = "{name}" }}' if whole else f'{{ allow = "{name}", from = {self.who(sources)} }}'


def families_of(key):
    return {"icmp": {V4}, "icmpv6": {V6}}.get(key[0], {V4, V6})


def of_families(families, sources):
    nets = frozenset(net for net in sources.networks if net[0] in families)
    return Sources(nets, sources.aliases if families else frozenset())


def of_protocol(key, sources):
    """What of the sources a configuration takes for this protocol."""
    return of_families(families_of(key), sources)


def share_cell(one, other):
    """Whether two keys may have a cell in common; for ICMP codes every pair is taken to."""
    return any(
        a.atom == b.atom and (a.code is not None or b.code is not None or (a.first <= b.last and b.first <= a.last))
        for a in cells_of(one) for b in cells_of(other)
    )


def share_source(one, other):
    """Whether two sets of sources may have somebody in common."""
    if other.aliases and any(net[2] <= 1 for net in one.networks):
        return True
    width = {V4: 32, V6: 128}
    return any(
        a[0] == b[0] and a[1] >> (width[a[0]] - min(a[2], b[2])) == b[1] >> (width[a[0]] - min(a[2], b[2]))
        for a in one.networks for b in other.networks
    )


def inventory(cases, entries_of):
    instances = [case.entry(entries_of(case)) for case in cases]
    return json.dumps({"format": "portward.inventory", "version": 1, "regions": {"eu-central-1": instances}})


def configuration(cases, wanted_of):
    """One file for all cases."""
    all_wanted = [wanted_of(case) for case in cases]
    parts = ['version = 1\n[defaults]\nregion = "eu-central-1"\n[guard]\nmax-instances = 1000000\nmax-closed = 1000000\n']
    parts.append('[services]\napp = ["tcp/23-80", "udp/1"]\n[addresses]\n')
    parts += [line for wanted in all_wanted for line in wanted.sets]
    parts.append("[rulesets]\n")
    parts += [wanted.rulesets for wanted in all_wanted]
    parts += [wanted.table for wanted in all_wanted]
    return "".join(parts)
