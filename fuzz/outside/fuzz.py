#!/usr/bin/env python3
"""Fuzzing from outside: damaged files, and the program as a user runs it.

The example configuration, the fleet, a plan and a receipt are damaged a little or a lot, and one offline verb is run on
them with limits on time and memory. A finding is a panic, a hang, an end by a signal, an exit code that README.md does not
name, a plan that the program itself calls a mistake, an error without a word, control characters on a terminal, or JSON
that is not JSON.

usage: fuzz/outside/fuzz.py PORTWARD [--runs N] [--seed N] [--jobs N] [--run N] [--keep DIR]
  --run N   only the run of this number, as a finding names it with its seed; its files stay in DIR

Needs Python 3.9 and nothing else. Owns the damage and the limits; `mutate` does the damage. Writes below a temporary folder
only, and nothing here reaches a network: every verb is given an inventory or an emulator.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import mutate

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The table of exit codes in README.md, without the two of signals, which nobody sends here.
EXITS = {0, 1, 2, 3, 4, 5, 6, 64, 65}
# Far above what any run on files of this size takes, in a build without optimisation: 20 ms and 30 MiB.
CPU_SECONDS = 10
MEMORY = 1 << 30
FILE_SIZE = 64 << 20
# Whoever waits for something that never comes uses no processor.
WALL_SECONDS = 120

FORMATS = ["text"] * 4 + ["json"] * 2 + ["markdown", "github", "sarif", "codequality", "html", "prometheus"]
# What a terminal may act on: C0 without tab and line feed, DEL, C1, and what reorders a line.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
PANIC = re.compile(r"panicked at|RUST_BACKTRACE|overflow(ed)? its stack|memory allocation of|internal error")


def environment(home):
    """Nothing of this machine, and no credentials."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "TZ": "UTC", "LANG": "C.UTF-8", "NO_COLOR": "1",
            "AWS_EC2_METADATA_DISABLED": "true"}


def limits():
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Seeds:
    """The undamaged files: a configuration of two files, a fleet, a plan for it, and the receipt of a run."""

    FILES = {"config": "firewall.toml", "part": "examples/fleet/mail.toml", "fleet": "fleet.json", "plan": "plan.json",
             "receipt": "receipt.jsonl", "small": "small.toml", "ports": "ports.json"}

    def __init__(self, program, folder):
        self.folder = folder
        (folder / "examples/fleet").mkdir(parents=True)
        shutil.copy(ROOT / "firewall.example.toml", folder / "firewall.toml")
        shutil.copy(ROOT / "examples/fleet/mail.toml", folder / "examples/fleet/mail.toml")
        shutil.copy(ROOT / "examples/fleet.json", folder / "fleet.json")
        (folder / "small.toml").write_text(SMALL)
        fleet = json.loads((folder / "fleet.json").read_text())
        ports = fleet["regions"]["eu-central-1"][0]["portStates"]
        (folder / "ports.json").write_text(json.dumps({"portStates": ports}, indent=2))
        self.run(program, "plan", "--inventory", "fleet.json", "--out", "plan.json", "--valid-for", "100000h")
        shutil.copy(folder / "fleet.json", folder / "state.json")
        self.run(program, "apply", "plan.json", "--emulator", "state.json", "--yes", "--rate", "unlimited")
        receipt, = (folder / ".portward/receipts").iterdir()
        shutil.copy(receipt, folder / "receipt.jsonl")
        self.texts = {kind: (folder / name).read_bytes() for kind, name in self.FILES.items()}
        self.after = (folder / "state.json").read_bytes()

    def run(self, program, *arguments):
        done = subprocess.run([program, *arguments], cwd=self.folder, env=environment(self.folder), capture_output=True)
        if done.returncode != 0:
            sys.exit(f"the seeds cannot be made: {' '.join(arguments)}: {done.stderr.decode()}")


SMALL = """version = 1
[defaults]
region = "eu-central-1"
[addresses]
office = ["203.0.113.0/24", "2001:db8:10::/48"]
[groups.all]
match = { name = "*" }
rules = [{ allow = ["ssh", "tcp/8080-8089", "icmp/8"], from = ["office", "anywhere-v6", "lightsail-connect"] }]
[instances.web-1]
mode = "additive"
absent = [{ allow = "https", from = "203.0.113.0/25" }]
rules = [{ allow = "ping", from = "anywhere", until = 2099-12-31, owner = "a", why = "b", waive = ["x"] }]
[[policy]]
id = "x"
services = ["ssh"]
only-from = ["office"]
[guard]
keep = [{ allow = "ssh", from = "office" }]
"""

CONFIGS = [("config", "part"), ("small",)]


def draw(dice):
    """A command line, and the kinds of the files that it reads: those of which some are to be damaged."""
    config = dice.choice(CONFIGS)
    named = ["--config", Seeds.FILES[config[0]]]
    world = ["--inventory", "fleet.json"]
    consent = ["--allow", "lockout", "--allow", "empty", "--allow", "blast-radius", "--reason", "test"]
    verb = dice.choice(["check", "plan", "plan", "drift", "diff", "diff", "explain", "import", "apply", "apply", "rollback"])
    if verb == "check":
        line, reads = [*named], config
    elif verb in ("plan", "drift"):
        line, reads = [*named, *world], (*config, "fleet")
        if verb == "plan":
            line += dice.choice([[], ["--diff"], ["--out", "out.json"], consent, [*consent, "--out", "out.json"]])
        line += dice.choice([[], [], ["--strategy", "put"], ["--strategy", "incremental"], ["--strict-spelling"],
                             ["--read", "bulk"], ["--shard", "1/3"], ["--as-of", "2150-01-01"]])
    elif verb == "diff":
        sides = dice.sample(["config", "small", "fleet", "plan", "ports"], 2)
        line = [Seeds.FILES[side] + ("#before" if side == "plan" and dice.random() < 0.5 else "") for side in sides]
        line += dice.choice([[], ["--target", "web-1"], world])
        reads = (*sides, "fleet", "part")
    elif verb == "explain":
        line = [dice.choice(["web-1", "eu-central-1/db-1", "edge-1", "legacy-1"]), *named, *world]
        line += dice.choice([[], ["--from", "203.0.113.7"], ["--from", "lightsail-connect"], ["--from", "office"]])
        line += dice.choice([[], ["--to", "ssh"], ["--to", "tcp/0-65535"], ["--to", "icmp"]])
        reads = (*config, "fleet")
    elif verb == "import":
        line, reads = [*world, *dice.choice([[], ["--region", "eu-central-1"]])], ("fleet",)
    elif verb == "apply":
        line = ["plan.json", "--emulator", "state.json", "--yes", "--rate", "unlimited", "--timeout", "1"]
        reads = ("plan", "plan", "state")
    else:
        line = ["receipt.jsonl", "--emulator", "state.json", "--rate", "unlimited"]
        line += dice.choice([[], named, ["--out", "out.json"], [*consent, "--detailed-exitcode"]])
        reads = ("receipt", "receipt", "state", *config)
    chosen = "text" if verb == "import" else dice.choice(FORMATS[:7] if verb in ("diff", "explain") else FORMATS)
    return [verb, *line, "--format", chosen], reads, chosen


def damaged(dice, seeds, verb, reads):
    """The files of a run, by name, and which of them are damaged."""
    texts = {name: seeds.texts[kind] for kind, name in Seeds.FILES.items()}
    texts["state.json"] = seeds.after if verb == "rollback" else seeds.texts["fleet"]
    names = [Seeds.FILES.get(kind, "state.json") for kind in reads]
    chosen = {dice.choice(names) for _ in range(dice.choice([1, 1, 1, 2]))}
    for name in sorted(chosen):
        others = [text for other, text in texts.items() if other != name]
        texts[name] = mutate.mutate(dice, name, texts[name], others)
    return texts, chosen


def judge(verb, form, done):
    """What is wrong with how a run ended; `None` where nothing is."""
    out, err = done.stdout, done.stderr
    if done.returncode < 0:
        kind = {24: "took too much processor time", 9: "was killed", 6: "aborted", 25: "wrote too much"}
        return kind.get(-done.returncode, f"ended by signal {-done.returncode}")
    if found := PANIC.search(err) or PANIC.search(out if form == "text" else ""):
        return f"says `{found.group()}`"
    if done.returncode not in EXITS:
        return f"exit code {done.returncode}"
    if done.returncode not in (0, 2) and not (err + out).strip():
        return f"exit code {done.returncode} without a word"
    shown = [("stderr", err)] + ([("stdout", out)] if form in ("text", "markdown", "github") else [])
    for name, text in shown:
        if found := CONTROL.search(text):
            return f"prints U+{ord(found.group()):04X} on {name}"
    if form in ("json", "sarif", "codequality") and out.strip() and verb != "import":
        try:
            json.loads(out)
        except ValueError as error:
            return f"prints {form} that is not JSON: {error}"
    return None


def one(program, seeds, seed, number, keep=None):
    """One run: (number, what is wrong or None, verb, exit code, command line)."""
    dice = random.Random(f"{seed}/{number}")
    line, reads, form = draw(dice)
    texts, chosen = damaged(dice, seeds, line[0], reads)
    folder = pathlib.Path(keep or tempfile.mkdtemp(prefix="portward-outside-"))
    try:
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text)
        try:
            done = subprocess.run([program, *line], cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=WALL_SECONDS, preexec_fn=limits)
            done.stdout, done.stderr = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
            wrong, code = judge(line[0], form, done), done.returncode
            if keep:
                print(done.stdout, done.stderr, sep="\n")
        except subprocess.TimeoutExpired:
            wrong, code = f"does not end within {WALL_SECONDS} s", None
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return number, wrong, line[0], code, f"{' '.join(line)} with {', '.join(sorted(chosen))} damaged"


def work(arguments):
    program, seeds, seed, numbers = arguments
    return [one(program, seeds, seed, number) for number in numbers]


def main():
    parser = argparse.ArgumentParser(description="runs the program on damaged files")
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--run", type=int, help="only the run of this number")
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("outside"))
    arguments = parser.parse_args()
    program, began = arguments.program.resolve(), time.monotonic()
    tally, findings = collections.Counter(), []
    with tempfile.TemporaryDirectory(prefix="portward-outside-") as folder:
        seeds = Seeds(program, pathlib.Path(folder))
        if arguments.run is not None:
            _, wrong, _, code, told = one(program, seeds, arguments.seed, arguments.run, arguments.keep)
            print(f"outside: run {arguments.run}: {told}: exit code {code}: {wrong or 'nothing is wrong'}")
            sys.exit(1 if wrong else 0)
        print(f"outside: seed {arguments.seed}, {arguments.runs} runs", flush=True)
        parts = [range(start, min(start + 50, arguments.runs)) for start in range(0, arguments.runs, 50)]
        with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
            jobs = ((program, seeds, arguments.seed, part) for part in parts)
            for results in pool.map(work, jobs):
                for number, wrong, verb, code, told in results:
                    tally[verb, code] += 1
                    if wrong:
                        findings.append(wrong)
                        print(f"outside: run {number}: {wrong}: {told}", flush=True)
    verbs = sorted({verb for verb, _ in tally})
    for verb in verbs:
        codes = sorted((code, count) for (other, code), count in tally.items() if other == verb and code is not None)
        print(f"outside: {verb}: " + ", ".join(f"{count} × {code}" for code, count in codes))
    seconds = time.monotonic() - began
    print(f"outside: {arguments.runs} runs in {seconds:.0f} s, {len(findings)} findings (seed {arguments.seed})")
    if findings:
        for kind, count in collections.Counter(findings).most_common():
            print(f"outside: {count} × {kind}")
        print(f"outside: again: fuzz/outside/fuzz.py {arguments.program} --seed {arguments.seed} --run NUMBER --keep DIR")
        sys.exit(1)


if __name__ == "__main__":
    main()
