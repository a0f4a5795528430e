"""Goals 7 and 8: memory, and what configuration, planning and exposure cost without a network.

Owns growth: the same job at sizes ten times apart, per instance. Times of stages come from the `stages` program, which takes
them one after the other in one process; memory is the operating system's.
"""

import json
import statistics

import fleet
import table
from emulator import emulator
from measure import median, ratio
from table import Row


def memory(bench, wanted):
    rules = list(fleet.rules(10))
    sizes = (1, 1000) if bench.quick else (1, 1000, 10_000)
    peaks, shown = {}, []
    for count in sizes:
        state = fleet.inventory(bench.folder / "fleet.json", count, rules)
        config = fleet.group(bench.folder / "firewall.toml", rules)
        times = 1 if count > 1000 else bench.times(3)
        with emulator(bench.portward, state, bench.folder) as served:
            plan, check = bench.runner.paired(
                times,
                lambda: bench.plan(config, served.url).expect(0),
                lambda: bench.runner.run(bench.portward, "check", "-c", config).expect(0),
            )
        peaks[count] = median(plan, "peak"), median(check, "peak")
        above = peaks[count][0] - peaks[1][0]
        shown.append((count, *map(table.mib, peaks[count]), table.mib(above), table.seconds(median(plan))))
    table.show(
        "Peak memory of a plan over the API, 10 rules an instance",
        ("instances", "plan", "check of the same", "above a plan of one", "wall"),
        shown,
    )
    rows = [Row(7, "1000 instances: above a plan of one", peaks[1000][0] - peaks[1][0], 20, " MiB")]
    if bench.quick:
        return [*rows, Row(7, "10000 instances: beside the config", None, 64, " MiB", "--quick")]
    return [*rows, Row(7, "10000 instances: beside the config", peaks[10_000][0] - peaks[10_000][1], 64, " MiB")]


def config(bench, wanted):
    """The configuration: every instance with a table and ten rules of its own."""
    shown, rows, per = [], [], {}
    sizes = (1000, 10_000) if bench.quick else (1000, 10_000, 100_000)
    rules = list(fleet.rules(10))
    for count in sizes:
        path = fleet.apart(bench.folder / "apart.toml", count, rules)
        state = fleet.inventory(bench.folder / "fleet.json", count, rules)
        start = bench.runner.run
        checked, parsed = bench.runner.paired(
            1 if count > 10_000 else bench.times(5),
            lambda: start(bench.portward, "check", "-c", path).expect(0),
            lambda: start(bench.stages, "toml", path).expect(0),
        )
        stages = stage_times(bench, path, state)
        parse = median(parsed, "cpu")
        per[count] = stages["config"] / count, stages["plan"] / count
        shown.append(
            (
                count,
                f"{path.stat().st_size / 2**20:.1f} MiB",
                table.seconds(parse),
                table.seconds(stages["config"]),
                table.seconds(median(checked, "cpu")),
                table.mib(median(checked, "peak")),
                table.seconds(stages["resolve"]),
                table.seconds(stages["plan"]),
            )
        )
        if count == 10_000:
            rows.append(Row(8, "10000 x 10: loading / spanned parse", stages["config"] / parse, 1.5, " x"))
            rows.append(Row(8, "10000 x 10: check / spanned parse", ratio(checked, parsed, "cpu"), 1.5, " x"))
            peak = median(checked, "peak") * 2**20 / path.stat().st_size
            rows.append(Row(8, "10000 x 10: check's peak / text", peak, 12, " x"))
            rows.append(Row(8, "10000 x 10: planning / loading", stages["plan"] / stages["config"], 0.25, " x"))
        path.unlink()
    table.show(
        "Configurations in which each instance has ten rules of its own (CPU seconds; `check` also judges policies)",
        ("instances", "text", "spanned parse", "loading", "check", "check's peak", "who is meant", "planning"),
        shown,
    )
    small, large = per[10_000 if not bench.quick else 1000], per[sizes[-1]]
    growth = f"{sizes[-1]} instances against a tenth"
    # Larger heaps miss the caches more; an algorithm that is not linear would show ten times.
    rows.append(Row(8, f"loading, each instance: {growth}", large[0] / small[0], 1.5, " x"))
    rows.append(Row(8, f"planning, each instance: {growth}", large[1] / small[1], 1.5, " x"))
    return rows


def growth(bench, wanted):
    """Planning and exposure from an inventory, one rule different on all."""
    shown, per = [], {}
    sizes = (100, 1000, 10_000) if bench.quick else (100, 1000, 10_000, 100_000)
    for sources in (10, 60):
        before = list(fleet.rules(5, sources // 5))
        config = fleet.group(bench.folder / "group.toml", list(fleet.rules(5, sources // 5, ssh=fleet.SECOND)))
        for count in sizes:
            state = fleet.inventory(bench.folder / "fleet.json", count, before)
            times = 1 if count > 10_000 else bench.times(3)
            command = (bench.portward, "plan", "-c", config, "--inventory", state)
            whole = [bench.runner.run(*command).expect(0) for _ in range(times)]
            bare = [bench.runner.run(bench.stages, "json", state).expect(0) for _ in range(times)]
            stages = stage_times(bench, config, state)
            planning = stages["plan"]
            per[sources, count] = planning / count, median(whole, "peak") / count
            shown.append(
                (
                    f"{count} x {sources}",
                    table.seconds(median(bare, "cpu")),
                    table.seconds(planning),
                    f"{planning / count * 1e6:.1f} us",
                    table.seconds(stages["judge"]),
                    table.seconds(median(whole, "cpu")),
                    table.mib(median(whole, "peak")),
                    f"{median(whole, 'peak') * 1024 / count:.1f} KiB",
                )
            )
            state.unlink()
    table.show(
        "Offline from an inventory, one rule changed on all (CPU seconds; planning with exposure, and judging, alone)",
        ("instances x sources", "inventory's parse", "planning", "each", "judging", "plan, whole", "peak", "each"),
        shown,
    )
    last, tenth = sizes[-1], sizes[-2]
    return [
        Row(8, f"planning x {sources} sources, each: {last} against {tenth}", per[sources, last][0] / per[sources, tenth][0], 1.5, " x")
        for sources in (10, 60)
    ]


def stage_times(bench, config, state):
    """The median seconds of each stage. Growth is a ratio of two of them, so no size has only one run."""
    runs = [json.loads(bench.runner.run(bench.stages, "run", config, state).expect(0).out) for _ in range(bench.times(3))]
    return {stage: statistics.median(run[stage] for run in runs) for stage in runs[0]}
