"""The texts of the service and of the program's JSON, read independently of the program.

Owns the reading of entries of `portStates`, of request bodies and of boxes. Does not judge what it reads.
"""

import ipaddress
from functools import lru_cache

from meaning import ALL_SOURCES, ATOMS, V4, V6, Cells, Rules, Sources

EVERY_CELL = [Cells(which) for which in range(len(ATOMS) - 1)] + [Cells(len(ATOMS) - 1, 0, 0)]
PROTOCOLS = {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "icmpv6": "icmpv6", "icmp6": "icmpv6", "all": "all", "-1": "all"}


@lru_cache(maxsize=65536)
def network(text):
    """A network as (family, first address, prefix length); `None` where the text is not one."""
    try:
        net = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return (V4 if net.version == 4 else V6, int(net.network_address), net.prefixlen)


def network_text(net):
    family, number, length = net
    return f"{ipaddress.IPv4Address(number) if family == V4 else ipaddress.IPv6Address(number)}/{length}"


def lists_of(sources):
    """Sources as the three lists of a request."""
    texts = lambda family: [network_text(net) for net in sorted(sources.networks) if net[0] == family]
    return {"cidrs": texts(V4), "ipv6Cidrs": texts(V6), "cidrListAliases": sorted(sources.aliases)}


def sources_of(rule):
    """The sources of an entry; `None` where one of them is not readable."""
    nets = [network(text) for text in rule.get("cidrs", []) + rule.get("ipv6Cidrs", [])]
    if None in nets:
        return None
    return Sources(frozenset(nets), frozenset(rule.get("cidrListAliases", [])))


def cells_of(key):
    """The cells of a valid key (protocol, from, to)."""
    protocol, first, last = key
    if protocol == "all":
        return EVERY_CELL
    which = ATOMS.index(protocol)
    if protocol in ("tcp", "udp"):
        return [Cells(which, first, last)]
    if first == -1:
        return [Cells(which)] if last == -1 else [Cells(which, code=last)]
    return [Cells(which, first * 256 + max(last, 0), first * 256 + (255 if last == -1 else last))]


def is_key(protocol, first, last):
    if protocol == "all":
        return (first, last) == (0, 65535)
    if protocol in ("tcp", "udp"):
        return 0 <= first <= last <= 65535
    return -1 <= first <= 255 and -1 <= last <= 255


def of_rules(rules):
    """What canonical rules [(key, sources)] let in."""
    return Rules([(cells, sources) for key, sources in rules for cells in cells_of(key)])


def of_documents(rules):
    """What rules as a plan writes them let in."""
    return of_rules([(key_of(rule), sources_of(rule)) for rule in rules])


def key_of(rule):
    return (PROTOCOLS[rule["protocol"].lower()], rule["fromPort"], rule["toPort"])


def of_boxes(boxes):
    """What boxes of a difference name."""
    return Rules([(Cells(ATOMS.index(box["protocol"]), box["from"], box["to"]), sources_of(box)) for box in boxes])


class Live:
    """The entries of a live firewall: what is certainly open, what is in doubt, and which keys came in their one canonical
    spelling.

    An entry that cannot be read lets in nobody for certain. It may let in whom it names, or everyone where that cannot be
    read, on its own cells, or on every cell where these cannot be read.
    """

    def __init__(self, entries):
        self.rules, self.uncertain, self.unknown, seen = [], [], [], {}
        for entry in entries:
            if entry.get("state", "open").lower() == "closed":
                continue
            protocol = PROTOCOLS.get(entry["protocol"].lower())
            key = (protocol, entry["fromPort"], entry["toPort"])
            sources = sources_of(entry)
            is_named = sources is not None and not sources.is_empty()
            doubtful = [(cells, sources if is_named else ALL_SOURCES) for cells in EVERY_CELL]
            if protocol is None:
                self.unknown.append(doubtful)
            elif not is_key(*key):
                self.uncertain.append(doubtful)
            elif not is_named:
                self.uncertain.append([(cells, ALL_SOURCES) for cells in cells_of(key)])
                seen.setdefault(key, []).append(False)
            else:
                self.rules.append((key, sources))
                # The order of lists means nothing.
                sent = {name: sorted(texts) for name, texts in lists_of(sources).items()}
                same = all(sorted(entry.get(name, [])) == texts for name, texts in sent.items())
                seen.setdefault(key, []).append(same and entry["protocol"] == protocol)
        self.canonical = {key for key, spelled in seen.items() if spelled == [True]}
        self.certain = of_rules(self.rules)

    def is_doubtful(self):
        return bool(self.uncertain or self.unknown)

    def most(self):
        """Everything that may be open."""
        return self.beside(self.certain, self.uncertain + self.unknown)

    def after(self, result, mode):
        """Everything that may be open where `result` is, certainly. A Put replaces what is uncertain where the whole
        firewall is ours; what is of an unknown protocol stays."""
        return self.beside(result, self.unknown + (self.uncertain if mode == "additive" else []))

    @staticmethod
    def beside(certain, doubts):
        return Rules(certain.pairs + [pair for doubt in doubts for pair in doubt]) if doubts else certain


@lru_cache(maxsize=65536)
def is_shortest(listed):
    """Whether networks are in order and no fewer would do."""
    nets = [ipaddress.ip_network(text) for text in listed]
    return nets == list(ipaddress.collapse_addresses(nets))


def flaws_of_form(boxes):
    """Where a list of boxes is not the one canonical spelling of what it says."""
    flaws, last = [], None
    for box in boxes:
        here = (ATOMS.index(box["protocol"]), box["from"], box["to"])
        sources = sources_of(box)
        if box["from"] > box["to"] or sources is None or sources.is_empty():
            flaws.append(f"not a valid box: {box}")
            continue
        for name in ("cidrs", "ipv6Cidrs"):
            if not is_shortest(tuple(box[name])):
                flaws.append(f"not the shortest list of networks: {box[name]}")
        if last is not None:
            there, before = last
            if here[:2] <= (there[0], there[2]):
                flaws.append(f"boxes overlap or are not in order at {here}")
            if here[:2] == (there[0], there[2] + 1) and sources == before:
                flaws.append(f"neighbours with the same sources are two boxes at {here}")
        last = here, sources
    return flaws
