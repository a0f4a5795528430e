"""Goal 11: small configurations that multiply out. Cost must follow what is read and what results, and both are limited.

Owns the shapes, each at a size and at half of it, for `check` and for `plan --inventory`. A shape that the program must
refuse is one whose expanded size is over its limits; then the refusal is what is timed.
"""

import dataclasses
import ipaddress
import json
import os
import typing

import fleet
import table
from emulator import REGION
from measure import least, median
from table import Row

HEAD = f'version = 1\n[defaults]\nregion = "{REGION}"\n[guard]\nmax-instances = 1000000\nmax-closed = 1000000\n'

# What every job costs besides: a process, and the tables of the program.
IDLE_SECONDS = 0.02


@dataclasses.dataclass(frozen=True)
class Shape:
    """`text` gives the configuration of a size; `instances` how many exist beside it."""

    name: str
    size: int
    text: typing.Callable[[int], str]
    seconds: float
    mib: float
    refused: bool = False
    instances: typing.Callable[[int], int] = lambda _: 1


def address(number):
    return str(ipaddress.IPv4Address(int(ipaddress.IPv4Address("52.0.0.0")) + number))


def product(ports, sources):
    allow = json.dumps([f"tcp/{1000 + 2 * number}" for number in range(ports)])
    listed = json.dumps([address(2 * number) for number in range(sources)])
    return f"{{ allow = {allow}, from = {listed} }}"


def shared_product(size):
    tables = "".join(f'[instances.{fleet.name(number)}]\nuse = ["r"]\n' for number in range(1, size + 1))
    return f"{HEAD}[rulesets]\nr = [{product(size, size)}]\n{tables}"


def one_product(size):
    return f"{HEAD}[instances.{fleet.name(1)}]\nrules = [{product(size, size)}]\n"


def policies(size):
    """Every rule and every policy reaches over nearly all ports, and no two are alike."""
    rules = "".join(f'  {{ allow = "tcp/{1 + number}-{60000 + number}", from = "{address(2 * number)}" }},\n' for number in range(size))
    judged = "".join(
        f'[[policy]]\nid = "p{number}"\nservices = ["tcp/{1 + number}-{60000 + number}"]\nat-most = {{ ipv4 = "/32" }}\n'
        for number in range(size)
    )
    return f"{HEAD}[instances.{fleet.name(1)}]\nrules = [\n{rules}]\n{judged}"


def only_from(size):
    """As `policies`, and every policy names somebody else who may."""
    rules = "".join(f'  {{ allow = "tcp/{1 + number}-{60000 + number}", from = "{address(2 * number)}" }},\n' for number in range(size))
    judged = "".join(
        f'[[policy]]\nid = "p{number}"\nservices = ["tcp/{1 + number}-{60000 + number}"]\nonly-from = ["{address(2 * number)}"]\n'
        for number in range(size)
    )
    return f"{HEAD}[instances.{fleet.name(1)}]\nrules = [\n{rules}]\n{judged}"


def chain_of_services(size):
    chain = "".join(
        f's{number:05} = ["s{number - 1:05}", "tcp/{1000 + number}"]\n' if number else 's00000 = ["tcp/999"]\n' for number in range(size)
    )
    return f'{HEAD}[services]\n{chain}[instances.{fleet.name(1)}]\nrules = [{{ allow = "s{size - 1:05}", from = "anywhere" }}]\n'


def used_chain_of_services(size):
    chain = "".join(
        f's{number:05} = ["s{number - 1:05}", "tcp/{1000 + number}"]\n' if number else 's00000 = ["tcp/999"]\n' for number in range(size)
    )
    rules = "".join(f'{{ allow = "s{number:05}", from = "anywhere" }},\n' for number in range(size))
    return f"{HEAD}[services]\n{chain}[instances.{fleet.name(1)}]\nrules = [{rules}]\n"


def groups_of_one_ruleset(size):
    rules = "".join(f'  {{ allow = "tcp/{1000 + number}", from = "52.0.0.1" }},\n' for number in range(size))
    groups = "".join(f'[groups.g{number}]\nmatch = {{ name = "*" }}\nuse = ["r"]\n' for number in range(size))
    return f"{HEAD}[rulesets]\nr = [\n{rules}]\n{groups}"


def groups_of_one_rule(size):
    each = lambda number: (
        f'[groups.g{number}]\nmatch = {{ name = "*" }}\nrules = [{{ allow = "tcp/{1000 + number}", from = "52.0.0.1" }}]\n'
    )
    return HEAD + "".join(map(each, range(size)))


def chain_of_sets(size):
    chain = "".join(
        f'a{number:05} = ["a{number - 1:05}", "{address(2 * number)}"]\n' if number else 'a00000 = ["52.0.0.1"]\n' for number in range(size)
    )
    return f'{HEAD}[addresses]\n{chain}[instances.{fleet.name(1)}]\nrules = [{{ allow = "ssh", from = "a{size - 1:05}" }}]\n'


def used_chain_of_sets(size):
    rules = "".join(f'{{ allow = "ssh", from = "a{number:05}" }},\n' for number in range(size))
    chain = chain_of_sets(size).split("[instances.")[0]
    return f"{chain}[instances.{fleet.name(1)}]\nrules = [{rules}]\n"


def overlapping_ranges(size):
    rules = "".join(
        f'  {{ allow = "tcp/{1 + number}-{40000 + number}", from = "{address(2 * number)}" }},\n' for number in range(size)
    )
    return f"{HEAD}[instances.{fleet.name(1)}]\nrules = [\n{rules}]\n"


def honest(size):
    each = fleet.lines(list(fleet.rules(10)))
    return fleet.HEAD + "".join(f"[instances.{fleet.name(number)}]\nrules = [\n{each}]\n\n" for number in range(1, size + 1))


every = lambda size: size

SHAPES = (
    Shape("ports x sources in a ruleset of as many instances", 1000, shared_product, 0.5, 100, refused=True, instances=every),
    Shape("policies `at-most` and wide rules", 1000, policies, 0.5, 100),
    Shape("policies `only-from` and wide rules", 1000, only_from, 0.5, 100),
    Shape("services, each names the one before", 3000, chain_of_services, 0.2, 50),
    Shape("the same, each used by a rule", 3000, used_chain_of_services, 0.2, 50),
    Shape("services, each names the one before, four times as many", 12_000, chain_of_services, 0.5, 50),
    Shape("one rule of ports x addresses", 8000, one_product, 0.5, 100, refused=True),
    Shape("groups of everything with one ruleset of as many rules", 2000, groups_of_one_ruleset, 0.5, 100),
    Shape("groups of everything with one rule each", 4000, groups_of_one_rule, 0.5, 150),
    Shape("address sets, each names the one before", 12_000, chain_of_sets, 1, 150),
    Shape("the same, each used by a rule", 12_000, used_chain_of_sets, 1, 150),
    Shape("overlapping ranges, each for somebody else", 10_000, overlapping_ranges, 1, 150),
    Shape("instances x 10 rules, nothing in common", 10_000, honest, 0.5, 100, instances=every),
)


def run(bench, wanted):
    shown, rows = [], []
    for shape in SHAPES:
        runs = {size: measured(bench, shape, size) for size in (shape.size, 2 * shape.size)}
        for verb in ("check", "plan"):
            (small, text), (large, _) = ((dict(runs[size])[verb], runs[size][2][1]) for size in (shape.size, 2 * shape.size))
            outcome = f"exit {small[0].code}"
            wall, peak = median(small), median(small, "peak")
            growth = least(large, "cpu") / max(least(small, "cpu"), IDLE_SECONDS)
            shown.append((shape.name, shape.size, f"{text / 1024:.0f} KiB", verb, outcome, table.seconds(wall), table.mib(peak), f"{growth:.2f}"))
            what = f"{verb}: {shape.size} {shape.name}"
            rows.append(Row(11, f"{what}, time", wall, shape.seconds, " s"))
            rows.append(Row(11, f"{what}, memory", peak, shape.mib, " MiB"))
            rows.append(Row(11, f"{what}, twice of it", growth, 2.2, " x"))
    table.show(
        "Configurations that multiply out, and the CPU time of twice the size",
        ("shape", "n", "file", "verb", "outcome", "wall", "peak", "2n / n"),
        shown,
    )
    return rows


def measured(bench, shape, size):
    config = bench.folder / "shape.toml"
    config.write_text(shape.text(size), encoding="utf-8")
    rules = list(fleet.rules(10)) if shape.text is honest else [(22, [fleet.OFFICE])]
    state = fleet.inventory(bench.folder / "shape.json", shape.instances(size), rules)
    codes = (65,) if shape.refused else (0, 1, 2, 3, 65)
    go = lambda *command: bench.runner.run(bench.portward, *command, timeout=120).expect(*codes)
    check, plan = bench.runner.paired(
        bench.times(7),
        lambda: go("check", "-c", config),
        lambda: go("plan", "-c", config, "--inventory", state),
    )
    return ("check", check), ("plan", plan), ("size", os.path.getsize(config))
