"""The benchmark: measures the eleven goals and the side-by-side table, and prints each beside what was wanted.

Owns the command line and the order. Started by benches/run.sh, which builds and installs what is measured.
"""

import argparse
import dataclasses
import os
import pathlib
import platform
import shutil
import sys
import tempfile
import time

import calls
import edges
import offline
import reading
import shapes
import sides
import startup
import table
from measure import Failed, Runner


@dataclasses.dataclass
class Bench:
    """What every measurement needs: the programs, a folder, a way to start things, and how thorough to be."""

    root: pathlib.Path
    portward: str
    stages: str
    """The stages of a plan, each alone, and the bare parsers."""
    baseline: str
    """The bare SDK, and requests signed by hand."""
    venv: pathlib.Path
    folder: pathlib.Path
    runner: Runner
    quick: bool
    ci: bool
    mirror: str | None
    """Of Terraform's providers."""

    def times(self, usual):
        """How often to repeat."""
        return max(2, usual // 4) if self.quick else usual

    def plan(self, config, url, *more, rate="unlimited"):
        pace = ("--rate", rate) if rate else ()
        return self.runner.run(self.portward, "plan", "-c", config, "--endpoint-url", url, *pace, *more)

    def boto(self, url, verb, rules=None):
        rules = rules or self.folder / "rules.json"
        if not rules.exists():
            rules.write_text("[]", encoding="utf-8")
        script = pathlib.Path(__file__).parent / "boto_fleet.py"
        return self.runner.run(self.venv / "bin/python", script, url, verb, rules)

    def aws(self, url, *args):
        return self.runner.run(self.venv / "bin/aws", "--endpoint-url", url, "lightsail", *args)


# Which goals each part measures, in the order in which they run.
PARTS = (
    ({6}, startup.run),
    ({1, 2, 3}, reading.run),
    ({4}, calls.throttled),
    ({5}, calls.counted),
    ({7}, offline.memory),
    ({8}, offline.config),
    ({8}, offline.growth),
    ({9}, edges.run),
    ({10}, edges.size),
    ({11}, shapes.run),
)


def main():
    asked = arguments()
    wanted = set(asked.only or range(1, 12))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="portward-bench-"))
    runner = Runner(folder)
    venv, root = pathlib.Path(asked.venv).absolute(), pathlib.Path(__file__).parents[2].absolute()
    bench = Bench(root, asked.portward, asked.stages, asked.baseline, venv, folder, runner, asked.quick, asked.ci, mirror())
    begun, rows, failed = time.monotonic(), [], []
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.machine()}")
    try:
        print(runner.run(bench.portward, "--version").expect(0).out.strip())
        parts = [part for goals, part in PARTS if goals & wanted]
        if asked.sides or not asked.only:
            parts.append(sides.run)
        for part in parts:
            table.note(f"{time.monotonic() - begun:5.0f} s: {part.__module__}.{part.__name__}")
            try:
                rows += part(bench, wanted)
            except Failed as error:
                failed.append(f"{part.__module__}.{part.__name__}: {error}")
    finally:
        runner.close()
        shutil.rmtree(folder)
    if rows:
        table.show("The goals", table.HEAD, [row.cells() for row in sorted(rows, key=lambda row: row.goal)])
    for failure in failed:
        print(f"\nfailed: {failure}")
    print(f"\ntook {(time.monotonic() - begun) / 60:.1f} min")
    # A missed goal is a result. That something could not be measured is a failure.
    sys.exit(1 if failed else 0)


def mirror():
    """The absolute path of a filesystem mirror that holds the provider, or `None`."""
    named = pathlib.Path(os.environ.get("TF_PROVIDER_MIRROR") or "/nonexistent")
    return str(named.absolute()) if (named / "registry.terraform.io/hashicorp/aws").is_dir() else None


def arguments():
    numbers = lambda text: [int(number) for number in text.split(",")]
    parser = argparse.ArgumentParser(prog="benches/run.sh", description="Measures portward, and prints the figures beside the goals.")
    parser.add_argument("--only", type=numbers, metavar="1,2,6", help="only these goals")
    parser.add_argument("--sides", action="store_true", help="the side-by-side table too, with --only")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and smaller fleets")
    parser.add_argument("--ci", action="store_true", help="also time .ci/run from cold, which builds everything")
    for program in ("portward", "stages", "baseline", "venv"):
        parser.add_argument(f"--{program}", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
