"""What a firewall means, for an SMT solver and for a single packet.

Owns the model of the oracle: which packets a list of rules lets in, written from the documentation and not from the
program. A packet is a protocol atom, a cell (a port, or ICMP type * 256 + code) and a source: an address of one of the two
families, or an alias, which is a point. Does not run the program and does not draw random cases.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import z3

ATOMS = ["tcp", "udp", "icmp", "icmpv6", "other"]
OTHER = 4
V4, V6, ALIAS = 0, 1, 2
WIDTH = {V4: 32, V6: 128}
FAMILY_NAMES = {V4: "IPv4", V6: "IPv6"}

# The browser client of the console: some addresses of the internet that nobody publishes. So whoever lets in all of it
# lets the client in too.
BROWSER_CLIENT = "lightsail-connect"
# An alias that the service does not document is a point that no network contains.
ALIASES = [BROWSER_CLIENT, "partners"]

atom = z3.BitVec("atom", 3)
cell = z3.BitVec("cell", 16)
kind = z3.BitVec("kind", 2)
address = z3.BitVec("address", 128)

CONTEXT = z3.main_ctx()
TRUE, FALSE = z3.BoolVal(True), z3.BoolVal(False)


def any_of(formulas):
    return joined(z3.Z3_mk_or, FALSE, formulas)


def all_of(formulas):
    return joined(z3.Z3_mk_and, TRUE, formulas)


def joined(make, nothing, formulas):
    """As z3.Or and z3.And, without their checks of types, which cost more than the solver."""
    if len(formulas) <= 1:
        return formulas[0] if formulas else nothing
    array = (z3.Ast * len(formulas))(*[formula.ast for formula in formulas])
    return z3.BoolRef(make(CONTEXT.ref(), len(formulas), array), CONTEXT)


def none_of(formula):
    return z3.BoolRef(z3.Z3_mk_not(CONTEXT.ref(), formula.ast), CONTEXT)


def implies(one, other):
    return any_of([none_of(one), other])


def same(one, other):
    return z3.BoolRef(z3.Z3_mk_iff(CONTEXT.ref(), one.ast, other.ast), CONTEXT)


# What every packet is: one that exists.
PACKET = z3.And(
    z3.ULE(atom, OTHER),
    z3.Implies(atom == OTHER, cell == 0),
    z3.ULE(kind, ALIAS),
    z3.Implies(kind == V4, z3.Extract(127, 32, address) == 0),
    z3.Implies(kind == ALIAS, z3.ULT(address, len(ALIASES))),
)


@dataclass(frozen=True)
class Cells:
    """Cells of one atom: a range, or one ICMP code of every type."""

    atom: int
    first: int = 0
    last: int = 65535
    code: int | None = None

    def holds(self, which, number):
        if which != self.atom:
            return False
        return self.first <= number <= self.last if self.code is None else number % 256 == self.code


@lru_cache(maxsize=None)
def in_cells(cells):
    if cells.code is not None:
        return z3.And(atom == cells.atom, z3.Extract(7, 0, cell) == cells.code)
    bounds = [atom == cells.atom]
    if cells.first > 0:
        bounds.append(z3.UGE(cell, cells.first))
    if cells.last < 65535:
        bounds.append(z3.ULE(cell, cells.last))
    return z3.And(bounds)


@lru_cache(maxsize=None)
def in_network(family, number, length):
    if length == 0:
        return kind == family
    width = WIDTH[family]
    prefix = z3.Extract(width - 1, width - length, address)
    return z3.And(kind == family, prefix == number >> (width - length))


@lru_cache(maxsize=None)
def is_alias(name):
    return z3.And(kind == ALIAS, address == ALIASES.index(name))


@dataclass(frozen=True)
class Sources:
    """Networks as (family, first address, prefix length), and names of aliases."""

    networks: frozenset
    aliases: frozenset

    def holds(self, family, number):
        if family == ALIAS:
            return ALIASES[number] in self.aliases
        return any(
            net == family and start >> (WIDTH[family] - length) == number >> (WIDTH[family] - length)
            for net, start, length in self.networks
        )

    def is_empty(self):
        return not self.networks and not self.aliases


@lru_cache(maxsize=4096)
def in_sources(sources):
    return any_of([in_network(*net) for net in sources.networks] + [is_alias(name) for name in sources.aliases])


EVERYONE = Sources(frozenset({(V4, 0, 0), (V6, 0, 0)}), frozenset())
ALL_SOURCES = Sources(EVERYONE.networks, frozenset(ALIASES))


class Set:
    """A set of packets. `plain` takes an alias for a point; `closed` puts the browser client into the world."""

    def __init__(self):
        self.covered = {}

    @cached_property
    def plain(self):
        return self.formula()

    def closed(self, family):
        """The set as an instance means it whose clients come over this family."""
        covers = self.covers(family)
        return self.plain if z3.is_false(covers) else any_of([self.plain, all_of([is_alias(BROWSER_CLIENT), covers])])

    def covers(self, family):
        """On which cells every address of a family is in."""
        if family not in self.covered:
            self.covered[family] = self.everyone(family)
        return self.covered[family]

    def everyone(self, family):
        # Between two neighbouring ends of networks nothing changes, so one address of each stretch stands for all of it.
        here = []
        for number in self.stretches(family):
            here.append(self.at(family, number))
            if z3.is_false(here[-1]):
                return FALSE
        return all_of(here)

    def holds_packet(self, family, which, number, sort, source):
        """Whether one packet is in, by plain arithmetic."""
        if self.holds(which, number, sort, source):
            return True
        is_client = sort == ALIAS and ALIASES[source] == BROWSER_CLIENT
        return is_client and all(self.holds(which, number, family, end) for end in self.stretches(family))


class Rules(Set):
    """What a list of (cells, sources) lets in."""

    def __init__(self, pairs):
        super().__init__()
        self.pairs = [(cells, sources) for cells, sources in pairs if not sources.is_empty()]

    def formula(self):
        # One term for each set of sources, however many cells it has.
        cells_of = {}
        for cells, sources in self.pairs:
            cells_of.setdefault(sources, []).append(in_cells(cells))
        return any_of([all_of([any_of(cells), in_sources(sources)]) for sources, cells in cells_of.items()])

    def at(self, family, number):
        return any_of([in_cells(cells) for cells, sources in self.pairs if sources.holds(family, number)])

    def holds(self, which, number, sort, source):
        return any(c.holds(which, number) and s.holds(sort, source) for c, s in self.pairs)

    def stretches(self, family):
        starts = {0}
        for _, sources in self.pairs:
            for net, start, length in sources.networks:
                after = start + (1 << (WIDTH[net] - length))
                if net == family:
                    starts.add(start)
                    if after < 1 << WIDTH[family]:
                        starts.add(after)
        return starts


class Pair(Set):
    """Two sets put together."""

    def __init__(self, left, right):
        super().__init__()
        self.left, self.right = left, right

    def stretches(self, family):
        return self.left.stretches(family) | self.right.stretches(family)


class Union(Pair):
    def formula(self):
        return any_of([self.left.plain, self.right.plain])

    def at(self, family, number):
        here = [self.left.at(family, number), self.right.at(family, number)]
        return any_of([formula for formula in here if not z3.is_false(formula)])

    def holds(self, *packet):
        return self.left.holds(*packet) or self.right.holds(*packet)


class Without(Pair):
    def formula(self):
        return all_of([self.left.plain, none_of(self.right.plain)])

    def at(self, family, number):
        left = self.left.at(family, number)
        return left if z3.is_false(left) else all_of([left, none_of(self.right.at(family, number))])

    def holds(self, *packet):
        return self.left.holds(*packet) and not self.right.holds(*packet)


def shown(model):
    """The packet of a model, as a person reads it and as numbers."""
    value = lambda symbol: model.eval(symbol, model_completion=True).as_long()
    which, number, sort, source = value(atom), value(cell), value(kind), value(address)
    where = f"{ATOMS[which]}/{number}" if ATOMS[which] in ("tcp", "udp") else f"{ATOMS[which]}/{number // 256}:{number % 256}"
    if sort == V4:
        who = ".".join(str(source >> shift & 255) for shift in (24, 16, 8, 0))
    elif sort == V6:
        who = ":".join(f"{source >> shift & 0xFFFF:x}" for shift in range(112, -1, -16))
    else:
        who = ALIASES[source]
    return f"{where} from {who}", (which, number, sort, source)
