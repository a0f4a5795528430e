"""Goals 1 to 3: how long a plan of a fleet takes, beside the least that the network allows, the bare SDK, requests that are
signed by hand, and boto3.

Every command reads the same emulator with the same latency: all pages of GetInstances, then the rules of each instance,
16 at once. Nothing differs, so nothing but reading is measured.
"""

import functools
import math

import fleet
import table
from emulator import emulator
from measure import median, ratio
from table import Row

LATENCY = 0.05
PAGE = 20
AT_ONCE = 16


def run(bench, wanted):
    rows = []
    for instances, wall_limit, cpu_limit in ((100, 1.15, 1.6), (1000, 1.08, 1.25)):
        rules = list(fleet.rules(10))
        state = fleet.inventory(bench.folder / "fleet.json", instances, rules)
        config = fleet.group(bench.folder / "firewall.toml", rules)
        with emulator(bench.portward, state, bench.folder, "--latency", "50ms") as served:
            plan = lambda: bench.plan(config, served.url).expect(0)
            others = {}
            if 2 in wanted:
                for who, mode in (("bare SDK", "sdk"), ("signed by hand", "hand-signed")):
                    others[who] = functools.partial(baseline, bench, mode, served.url)
            if 3 in wanted:
                others["boto3, 16 threads"] = lambda: bench.boto(served.url, "read").expect(0)
            ours, *theirs = bench.runner.paired(bench.times(5), plan, *others.values())
        theirs = dict(zip(others, theirs, strict=True))
        rounds = math.ceil(instances / AT_ONCE) + math.ceil(instances / PAGE)
        table.show(
            f"A plan of {instances} instances, 50 ms latency, `--rate unlimited`; medians of {len(ours)}",
            ("who", "wall", "CPU", "portward's CPU / this", "peak memory"),
            [
                (
                    who,
                    table.seconds(median(runs)),
                    table.seconds(median(runs, "cpu")),
                    f"{ratio(ours, runs, 'cpu'):.2f} x",
                    table.mib(median(runs, "peak")),
                )
                for who, runs in {"portward plan": ours, **theirs}.items()
            ],
        )
        if 1 in wanted:
            least = rounds * LATENCY
            rows.append(Row(1, f"{instances}: wall / ({rounds} round trips)", median(ours) / least, wall_limit, " x"))
        if 2 in wanted:
            cpu = ratio(ours, theirs["bare SDK"], "cpu")
            rows.append(Row(2, f"{instances}: CPU / bare SDK", cpu, cpu_limit, " x"))
        if 3 in wanted:
            boto = theirs["boto3, 16 threads"]
            for what, word, limit in (("wall", "wall", 0.65), ("cpu", "CPU", 0.08), ("peak", "memory", 0.35)):
                rows.append(Row(3, f"{instances}: {word} / boto3", ratio(ours, boto, what), limit, " x"))
    return rows


def baseline(bench, mode, url):
    return bench.runner.run(bench.baseline, mode, url).expect(0)
