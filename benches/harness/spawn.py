"""Starts one program after the other and says what each of them cost.

Owns the start, the clock and the kernel's accounting. Imports next to nothing, because a child's peak memory cannot read
below that of whoever started it. Refuses to know what is measured: `measure.py` tells it, in lines of fields between NULs.

    in:   FOLDER NUL STDOUT NUL STDERR NUL how many arguments NUL ARGUMENT ... NUL NAME=VALUE ...
    out:  the process id; then wall seconds, CPU seconds, peak KiB, exit code (negative: the signal)
"""

import posix
import sys
import time


def start(folder, stdout, stderr, count, *rest):
    arguments, environment = rest[: int(count)], dict(pair.split("=", 1) for pair in rest[int(count) :])
    posix.chdir(folder)
    new = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC
    files = [
        (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
        (posix.POSIX_SPAWN_OPEN, 1, stdout, new, 0o600),
        (posix.POSIX_SPAWN_OPEN, 2, stderr, new, 0o600),
    ]
    before = time.perf_counter()
    # A group of its own, so that whoever ends it ends its children too.
    pid = posix.posix_spawn(arguments[0], arguments, environment, file_actions=files, setpgroup=0)
    print(pid, flush=True)
    _, status, used = posix.wait4(pid, 0)
    wall = time.perf_counter() - before
    print(wall, used.ru_utime + used.ru_stime, used.ru_maxrss, posix.waitstatus_to_exitcode(status), flush=True)


for line in sys.stdin:
    start(*line.rstrip("\n").split("\0"))
