"""Runs commands and keeps what they cost: seconds, CPU seconds, peak memory.

Owns the pairing of runs and the medians. Two commands that are compared run in turn (A B A B ...), and ratios are taken
pair by pair, because the speed of a machine drifts. Refuses to judge.
"""

import dataclasses
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).parent


class Failed(Exception):
    """A command did not do what it was started for."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One finished process. Times are seconds, `peak` is MiB of its largest process."""

    wall: float
    cpu: float
    peak: float
    code: int
    out: str
    err: str

    def expect(self, *codes):
        if self.code not in codes:
            raise Failed(f"exit code {self.code}: {(self.err or self.out).strip()[-800:]}")
        return self


class Runner:
    """Starts programs in one folder and with one environment, none of which is the caller's."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        command = [sys.executable, "-I", "-S", str(HERE / "spawn.py")]
        self.spawner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        self.spawner.stdin.close()
        self.spawner.wait()

    def run(self, *command, env=None, timeout=300, without=()):
        """Runs a command to its end. After `timeout` seconds it is killed, which its exit code tells."""
        program, *rest = map(str, command)
        found = shutil.which(program) or program
        environment = {k: v for k, v in (self.environment | (env or {})).items() if k not in without}
        out, err = self.folder / "out", self.folder / "err"
        fields = [str(self.folder), str(out), str(err), str(1 + len(rest)), found, *rest]
        fields += [f"{name}={value}" for name, value in environment.items()]
        self.spawner.stdin.write("\0".join(fields) + "\n")
        self.spawner.stdin.flush()
        pid = self.spawner.stdout.readline()
        if not pid:
            raise Failed(f"cannot start {found}")
        timer = threading.Timer(timeout, os.killpg, (int(pid), signal.SIGKILL))
        timer.start()
        wall, cpu, peak, code = self.spawner.stdout.readline().split()
        timer.cancel()
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
        return Run(float(wall), float(cpu), float(peak) / 1024, int(code), *texts)

    def paired(self, times, *commands):
        """Runs each of these functions in turn, `times` over; a list of runs for each. One round before does not count,
        unless there is only one, as of what takes long."""
        if times > 1:
            for command in commands:
                command()
        rounds = [[command() for command in commands] for _ in range(times)]
        return [list(runs) for runs in zip(*rounds, strict=True)]


def median(runs, what="wall"):
    return statistics.median(getattr(run, what) for run in runs)


def least(runs, what="wall"):
    """What the work itself costs: other processes can only add to it."""
    return min(getattr(run, what) for run in runs)


def ratio(ours, theirs, what="wall"):
    """The median of the ratios of runs that were neighbours."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(getattr(a, what) / max(getattr(b, what), 1e-6) for a, b in pairs)
