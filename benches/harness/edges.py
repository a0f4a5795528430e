"""Goals 9 and 10: servers that are silent or dead, credentials that are not there, and how large the program is.

Owns servers that misbehave on purpose, all on loopback. Waiting costs nothing, so the slow commands run side by side.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import threading
import time

import fleet
import table
from emulator import REGION
from table import Row

# What the program states for reading, with all its attempts.
DEADLINE = 30


@contextlib.contextmanager
def server(answer):
    """A port of its own, and what becomes of each connection. Ends with the block."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        held = []

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Wakes up who waits for a connection.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


def silent(connection):
    """Reads, and says nothing for as long as the other side waits."""
    with contextlib.suppress(OSError):
        while connection.recv(65_536):
            pass


def dead(connection):
    connection.close()


def silent_after_the_list(connection):
    """Answers GetInstances with one instance, and nothing else with anything."""
    one = {
        "name": fleet.name(1),
        "arn": f"arn:aws:lightsail:{REGION}:123456789012:Instance/1",
        "location": {"regionName": REGION},
        "state": {"code": 16, "name": "running"},
        "ipAddressType": "dualstack",
        "networking": {"ports": []},
    }
    body = json.dumps({"instances": [one]}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {len(body)}\r\n\r\n"
    with contextlib.suppress(OSError):
        while request := connection.recv(65_536):
            if b"GetInstances\r\n" in request:
                connection.sendall(head.encode() + body)


def run(bench, wanted):
    config = fleet.group(bench.folder / "firewall.toml", list(fleet.rules(5)))
    with_config = ("-c", str(config))
    verbs = {
        "plan": ("plan", *with_config),
        "drift": ("drift", *with_config),
        "apply": ("apply", *with_config, "--yes"),
        "inventory": ("inventory",),
        "import": ("import",),
        "explain": ("explain", fleet.name(1), *with_config),
    }
    known = bench.runner.run(bench.portward, "--help").out
    verbs = {verb: args for verb, args in verbs.items() if re.search(rf"^\s+{verb}\b", known, re.M)}
    if re.search(r"^\s+doctor\b", known, re.M):
        verbs["doctor"] = ("doctor", *with_config)
    cases = {"silent": silent, "dead": dead, "silent after the list": silent_after_the_list}
    shown, rows = [], []
    with contextlib.ExitStack() as stack:
        urls = {case: stack.enter_context(server(answer)) for case, answer in cases.items()}
        started = {
            (case, verb): start(bench, (*args, "--endpoint-url", url), {}, ())
            for case, url in urls.items()
            for verb, args in verbs.items()
        }
        ended = {which: end(*process, DEADLINE + 10) for which, process in started.items()}
    for case in cases:
        each = {verb: ended[case, verb] for verb in verbs}
        slowest = max(each, key=lambda verb: each[verb][0])
        wall = each[slowest][0]
        well = sorted(verb for verb, (_, code, _) in each.items() if code == 0)
        rows.append(Row(9, f"{case} server: slowest of {len(verbs)} verbs ({slowest})", wall, DEADLINE + 1, " s"))
        shown.append((case, slowest, table.seconds(wall), ", ".join(well) or "none", first_line(each[slowest][2])))
    # No credentials anywhere: neither in the environment nor in a file, since HOME is the empty folder.
    without = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    with server(silent) as url:
        plan = (*verbs["plan"], "--endpoint-url", "http://127.0.0.1:9")
        metadata = {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": url}
        for what, env, limit in (("disabled", {}, 0.3), ("silent", metadata, 1.5)):
            wall, code, text = end(*start(bench, plan, env, without), 60)
            shown.append((f"no credentials, metadata service {what}", "plan", table.seconds(wall), "none" if code else "plan", first_line(text)))
            rows.append(Row(9, f"no credentials, metadata service {what}", wall, limit, " s"))
            rows.append(Row(9, f"no credentials, metadata service {what}: own error", 0 if "credentials" in text else 1, 0))
    table.show("Servers that do not answer", ("server", "slowest verb", "ends after", "exit code 0", "says"), shown)
    return rows


def start(bench, args, env, without):
    environment = {k: v for k, v in (bench.runner.environment | env).items() if k not in without}
    out = subprocess.PIPE
    process = subprocess.Popen(
        [bench.portward, *args], env=environment, cwd=bench.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, text=True
    )
    ended = []
    # Each has a clock of its own: they are waited for one after the other, and end when they like.
    begun = time.monotonic()
    watch = threading.Thread(target=lambda: ended.append((process.communicate(), time.monotonic() - begun)))
    watch.start()
    return process, watch, ended


def end(process, watch, ended, timeout):
    watch.join(timeout)
    if watch.is_alive():
        process.kill()
        watch.join()
    (out, err), wall = ended[0]
    return wall, process.returncode, err + out


def first_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[0][:90] if lines else ""


def size(bench, wanted):
    """The program that is published, what it is made of, and how long the whole check takes where that is asked for."""
    is_published = os.path.basename(os.path.dirname(bench.portward)) == "dist"
    size = os.path.getsize(bench.portward) / 1e6 if is_published else None
    rows = [Row(10, "program of the `dist` profile", size, 16, " MB", "" if size else "`PORTWARD=target/dist/portward` does")]
    tree = ("cargo", "tree", "--locked", "--prefix", "none", "--format", "{p}")
    lines = output(bench, *tree, "--edges", "normal,build")
    crates = {line.removesuffix(" (*)") for line in lines if line} - {lines[0]}
    rows.append(Row(10, "crates, normal and build, this target", len(crates), 220))
    versions = {}
    for crate in crates:
        name, version, *_ = crate.split()
        versions.setdefault(name, set()).add(version)
    twice = sorted(name for name, found in versions.items() if len(found) > 1)
    forbidden = [name for name in twice if name in ("hyper", "http", "rustls")]
    rows.append(Row(10, "second hyper, http or rustls", len(forbidden), 0))
    ci = None
    if bench.ci:
        begun = time.monotonic()
        target = {"CARGO_TARGET_DIR": str(bench.folder / "ci-target")}
        code = subprocess.run(["bash", ".ci/run"], cwd=bench.root, env=os.environ | target, stdout=subprocess.DEVNULL).returncode
        ci = (time.monotonic() - begun) / 60 if code == 0 else None
    rows.append(Row(10, "`.ci/run` from cold", ci, 15, " min", "" if ci else "`--only 10 --ci` does"))
    table.show("What the program is made of", ("crates", "in two versions", "names"), [(len(crates), len(twice), ", ".join(twice) or "-")])
    return rows


def output(bench, *command):
    return subprocess.run(command, cwd=bench.root, check=True, capture_output=True, text=True).stdout.splitlines()
