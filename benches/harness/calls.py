"""Goals 4 and 5: staying below the documented rates, and how many calls a job takes.

The emulator throttles as AWS documents it (a burst of 20, then 5 or 10 calls a second for each action), and its log says
what was asked, what was turned away, and which ports were open from when on.
"""

import collections

import fleet
import table
from emulator import WRITES, emulator
from table import Row

# The burst, and what comes back each second.
BURST, READS, WRITES_A_SECOND = 20, 10, 5
LATENCY = 0.05


def throttled(bench, wanted):
    """Reads of 200 instances, and writes to 100 and to 400, at the default pace."""
    read, writes = (60, (40,)) if bench.quick else (200, (100, 400))
    rules, changed = list(fleet.rules(10)), list(fleet.rules(10, ssh=fleet.SECOND))
    shown, rows = [], []

    def judge(what, count, rate, run, calls, actions):
        least = (count - BURST) / rate + LATENCY
        span = calls.span(actions)
        asked = sum(calls.by_action[action] for action in actions)
        shown.append((what, table.seconds(least), table.seconds(span), table.seconds(run.wall), asked, calls.throttled, run.code))
        rows.append(Row(4, f"{what}: wall / least time", run.wall / least, 1.05 + LATENCY / least, " x"))
        rows.append(Row(4, f"{what}: throttled answers", 100 * calls.throttled / max(calls.total, 1), 2, " %"))
        rows.append(Row(4, f"{what}: failed", 0 if run.code == 0 else 1, 0))

    options = ("--latency", "50ms", "--throttle")
    state = fleet.inventory(bench.folder / "fleet.json", read, rules)
    config = fleet.group(bench.folder / "firewall.toml", rules)
    with emulator(bench.portward, state, bench.folder, *options) as served:
        run = bench.plan(config, served.url, rate=None)
        judge(f"{read} reads", read, READS, run, served.calls(), ("GetInstancePortStates",))
    config = fleet.group(bench.folder / "changed.toml", changed)
    plan = bench.folder / "plan.json"
    for write in writes:
        state = fleet.inventory(bench.folder / "fleet.json", write, rules)
        with emulator(bench.portward, state, bench.folder) as served:
            bench.plan(config, served.url, "--out", plan).expect(0)
        with emulator(bench.portward, state, bench.folder, *options) as served:
            run = bench.runner.run(bench.portward, "apply", plan, "--yes", "--read", "bulk", "--endpoint-url", served.url)
            calls = served.calls()
            judge(f"{write} writes", write, WRITES_A_SECOND, run, calls, WRITES)
            bench.plan(config, served.url, "--detailed-exitcode").expect(0)
    table.show(
        "Under the documented throttle, 50 ms latency, default pace; the writes are `apply --read bulk` of a saved plan",
        ("job", "least time", "first to last call", "wall", "calls", "throttled", "exit"),
        shown,
    )
    each = ", ".join(f"{count} {action}" for action, count in calls.by_action.most_common())
    print(f"\nThe last `apply` made {each}. A write costs two reads of rules (stale or not, and the proof) at twice the rate of writes, and one of the instance at theirs;")
    print("both begin with one burst of 20, so reads end 2 s after the writes could: much of a small fleet, little of a large one.")
    return rows


def counted(bench, wanted):
    """In sync, and one change on all of them, read exactly and in bulk."""
    count = 100 if bench.quick else 1000
    rules, changed = list(fleet.rules(10)), list(fleet.rules(10, ssh=fleet.SECOND))
    state = fleet.inventory(bench.folder / "fleet.json", count, rules)
    same = fleet.group(bench.folder / "firewall.toml", rules)
    other = fleet.group(bench.folder / "changed.toml", changed)
    pages = -(-count // 20)
    shown, rows = [], []
    bulk = "--read" in bench.runner.run(bench.portward, "plan", "--help").out
    for read in ("exact", "bulk"):
        if read == "bulk" and not bulk:
            for job, limit in (("in sync", pages), ("one change", pages + 4 * count)):
                rows.append(Row(5, f"{job}, bulk: calls", None, limit, "", "`plan` has no `--read bulk`"))
            continue
        how = ("--read", read) if bulk else ()
        with emulator(bench.portward, state, bench.folder) as served:
            bench.plan(same, served.url, *how).expect(0)
            calls = served.calls()
            shown.append(("in sync", read, *tally(calls), "-"))
            states = calls.by_action["GetInstancePortStates"]
            if read == "exact":
                rows.append(Row(5, f"in sync, exact: reads of {count} instances", states, count))
            else:
                # A hundredth of them is confirmed, and three at least.
                limit = pages + max(-(-count // 100), 3)
                rows.append(Row(5, "in sync, bulk: calls", calls.total, limit, "", f"{pages} pages and the sample"))
            how += ("--rate", "unlimited", "--yes")
            bench.runner.run(bench.portward, "apply", "-c", other, "--endpoint-url", served.url, *how).expect(0)
            calls = served.calls()
            shut = calls.shut(fleet.wanted(rules))
            shown.append(("one change on all", read, *tally(calls), table.seconds(shut)))
            if read == "bulk":
                rows.append(Row(5, "one change, bulk: calls", calls.total, pages + 4 * count))
            rows.append(Row(5, f"one change, {read}: seconds shut", shut if shut is not None else 1e9, 0, " s"))
            bench.plan(other, served.url, "--detailed-exitcode").expect(0)
    table.show(
        f"Calls for {count} instances on {pages} pages",
        ("job", "read", "calls", "GetInstances", "GetInstancePortStates", "writes", "other", "shut at most"),
        shown,
    )
    return rows


def tally(calls):
    left = collections.Counter(calls.by_action)
    pages, states = left.pop("GetInstances", 0), left.pop("GetInstancePortStates", 0)
    writes = sum(left.pop(action, 0) for action in WRITES)
    return calls.total, pages, states, writes, left.total()
