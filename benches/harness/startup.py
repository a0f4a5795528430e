"""Goal 6: what one command costs before it does anything, beside `true` and the AWS CLI.

Walls are a few milliseconds, so there are many runs, in turn. There is no latency: it would hide the difference.
"""

import fleet
import table
from emulator import emulator
from measure import median, ratio
from table import Row


def run(bench, wanted):
    rules = list(fleet.rules(5))
    state = fleet.inventory(bench.folder / "fleet.json", 1, rules)
    config = fleet.group(bench.folder / "firewall.toml", rules)
    with emulator(bench.portward, state, bench.folder) as served:
        start = bench.runner.run
        commands = {
            "true": lambda: start("true").expect(0),
            "portward --version": lambda: start(bench.portward, "--version").expect(0),
            "portward check": lambda: start(bench.portward, "check", "-c", config).expect(0),
            "portward plan, one instance": lambda: bench.plan(config, served.url, rate=None).expect(0),
        }
        runs = dict(zip(commands, bench.runner.paired(bench.times(30), *commands.values()), strict=True))
        cli = lambda: bench.aws(served.url, "get-instance-port-states", "--instance-name", fleet.name(1)).expect(0)
        plan, read = bench.runner.paired(bench.times(5), commands["portward plan, one instance"], cli)
    true = runs["true"]
    shown = [
        (who, table.seconds(median(each)), table.seconds(median(each, "cpu")), table.mib(median(each, "peak")), f"{ratio(each, true):.1f} x")
        for who, each in runs.items()
    ]
    read_ms = (table.seconds(median(read)), table.seconds(median(read, "cpu")), table.mib(median(read, "peak")))
    shown.append(("aws lightsail get-instance-port-states", *read_ms, f"{median(read) / median(true):.0f} x"))
    table.show(f"Start-up, no latency; medians of {len(true)}", ("command", "wall", "CPU", "peak memory", "of true"), shown)
    return [
        Row(6, "plan of one instance / AWS CLI's one read", ratio(plan, read), 1 / 40, " x"),
        Row(6, "plan of one instance / true", ratio(runs["portward plan, one instance"], true), 10, " x"),
        Row(6, "--version / true", ratio(runs["portward --version"], true), 4, " x"),
    ]
