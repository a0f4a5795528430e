"""One emulator for all: the same latency, the same throttle, and a record of every call that it got.

Owns the process and the reading of its log. Refuses to know who calls.
"""

import collections
import contextlib
import dataclasses
import datetime
import json
import pathlib
import subprocess

REGION = "eu-central-1"
WRITES = ("OpenInstancePublicPorts", "CloseInstancePublicPorts", "PutInstancePublicPorts")


@dataclasses.dataclass(frozen=True)
class Calls:
    """What was asked between two moments."""

    by_action: collections.Counter
    throttled: int
    refused: int
    """Answered by an error that is no throttling, or not at all."""
    writes: list
    """Of each accepted change: when, which instance, the ports that are open after it."""
    times: dict
    """Of each action: when its calls were answered, in order."""

    @property
    def total(self):
        return self.by_action.total()

    def span(self, actions):
        """Seconds between the first and the last call of these actions."""
        times = sorted(time for action in actions for time in self.times.get(action, []))
        return times[-1] - times[0] if times else 0.0

    def shut(self, wanted):
        """For how many seconds some wanted port was shut, on the instance where it took longest; `None` for good."""
        since, total = {}, collections.Counter()
        for time, instance, ports in self.writes:
            if not wanted <= ports:
                since.setdefault(instance, time)
            elif instance in since:
                total[instance] += time - since.pop(instance)
        return None if since else max(total.values(), default=0.0)


class Emulator:
    """`portward emulate`, from a file that it only reads."""

    def __init__(self, portward, state, folder, *options):
        self.log = pathlib.Path(folder) / "emulator.log"
        self.position = 0
        with open(self.log, "wb") as log:
            command = [portward, "emulate", "--in-memory", "--state", state, "-vv", "--log-format", "json", *options]
            self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=log, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"no emulator: {self.log.read_text(encoding='utf-8')}")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def calls(self):
        """What was asked since the last time."""
        with open(self.log, encoding="utf-8") as log:
            log.seek(self.position)
            lines = log.readlines()
            self.position = log.tell()
        counted, times, writes, throttled, refused = collections.Counter(), {}, [], 0, 0
        for line in lines:
            event = json.loads(line)
            fields = event["fields"]
            time = datetime.datetime.fromisoformat(event["timestamp"]).timestamp()
            if fields["message"] == "request":
                counted[fields["action"]] += 1
                times.setdefault(fields["action"], []).append(time)
                # 403 is throttling and nothing else: whatever is denied or not valid is a 400 here.
                throttled += fields["status"] == 403
                refused += fields["status"] not in (200, 403)
            elif fields["message"] == "rules changed":
                writes.append((time, fields["instance"], frozenset(fields["open"].split())))
        return Calls(counted, throttled, refused, writes, times)


@contextlib.contextmanager
def emulator(portward, state, folder, *options):
    served = Emulator(portward, state, folder, *options)
    try:
        yield served
    finally:
        served.stop()
