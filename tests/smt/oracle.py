"""An oracle for the meaning of firewalls: random cases, the program's answers, and an SMT solver that looks for one packet
that contradicts them.

Owns the runs of the program and the report. `cases` draws what it is shown, and `statements` says what must hold.
"""

import argparse
import collections
import copy
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import cases
import texts
from statements import Oracle, exact, hold_bounds, hold_difference, hold_plan
from texts import Live, of_boxes, of_documents, of_rules

FAULTS_SHOWN = 12
SELF_TESTS = 60

# What a run of a thousand cases must have met, or it proves less than it says.
MET = [f"{mode} {verdict}" for mode in ("authoritative", "additive") for verdict in ("change", "in-sync", "refused")]
MET += ["observe observed", "open", "close", "put", "doubtful", "boxes", "states"]


class Program:
    """The program, and the files that it is shown."""

    def __init__(self, path, work, oracle):
        self.path, self.work, self.oracle, self.runs = path, work, oracle, 0

    def write(self, name, text):
        (self.work / name).write_text(text)
        return name

    def run(self, *arguments):
        self.runs += 1
        environment = {"PATH": "/usr/bin:/bin", "TZ": "UTC"}
        done = subprocess.run([self.path, *arguments], cwd=self.work, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def diff(self, chosen, subject, *arguments, doubtful):
        """The answers of `diff` by name of the instance, after a look at the exit code."""
        code, out, err = self.run("diff", *arguments, "--format", "json")
        if code not in (0, 2, 6):
            self.oracle.fault(only(chosen), f"{subject}: exit code {code}: {err[:2000]}")
            return {}
        answers = {answer["name"]: answer for answer in json.loads(out)["instances"]}
        differ = any(answer["gained"] or answer["lost"] for answer in answers.values())
        expected = 6 if doubtful else 2 if differ else 0
        self.oracle.check(only(chosen), subject, code == expected, f"exit code {code}, expected {expected}")
        return answers

    def plan(self, chosen, config, inventory, out, *flags):
        """The instances of a plan by name, after a look at the exit code."""
        consent = ["--allow", "lockout", "--allow", "empty", "--reason", "test"]
        code, _, err = self.run("plan", "--config", config, "--inventory", inventory, "--out", out, *consent, *flags)
        plans = []
        if (self.work / out).exists():
            plans = json.loads((self.work / out).read_text())["plan"]["instances"]
        expected = 0
        if any(plan["incomplete"] for plan in plans):
            expected = 6
        if any(plan["verdict"] == "refused" for plan in plans):
            expected = 1
        # What a Put will replace is in doubt until then, and there is nothing else to say of it.
        is_doubtful = any(plan["before"]["uncertain"] for plan in plans)
        is_expected = plans and (code == expected or (is_doubtful and (expected, code) == (0, 6)))
        self.oracle.check(only(chosen), "plan", is_expected, f"exit code {code}, expected {expected}: {err[:2000]}")
        return {plan["name"]: plan for plan in plans}


def only(chosen):
    return chosen[0] if len(chosen) == 1 else None


def batch(program, oracle, chosen, label):
    """All that is asked about these cases, in few runs."""
    old = program.write(f"{label}-old.json", cases.inventory(chosen, lambda case: case.live))
    new = program.write(f"{label}-new.json", cases.inventory(chosen, lambda case: case.next))
    config = program.write(f"{label}-a.toml", cases.configuration(chosen, lambda case: case.config))
    other = program.write(f"{label}-b.toml", cases.configuration(chosen, lambda case: case.other))
    plan = f"{label}-plan.json"

    live = {case.name: Live(case.live) for case in chosen}
    later = {case.name: Live(case.next) for case in chosen}
    doubt = any(side.is_doubtful() for side in live.values())
    new_doubt = any(side.is_doubtful() for side in later.values())
    # What an additive configuration leaves open depends on what is live.
    stays = any(case.mode == "additive" and live[case.name].is_doubtful() for case in chosen)

    plans = program.plan(chosen, config, old, plan)
    strict = program.plan(chosen, config, old, f"{label}-strict.json", "--strict-spelling")
    answers = {
        "inventories": program.diff(chosen, "diff of inventories", old, new, doubtful=doubt or new_doubt),
        "with": program.diff(chosen, "diff with a configuration", old, config, doubtful=doubt),
        "between": program.diff(chosen, "diff of configurations", config, other, "--inventory", old, doubtful=stays),
        "plan": plans and program.diff(chosen, "diff of a plan", f"{plan}#before", plan, doubtful=doubt),
    }
    for case in chosen:
        sides = live[case.name], later[case.name]
        hold_case(oracle, case, *sides, plans.get(case.name), {of: all.get(case.name) for of, all in answers.items()})
        if case.number % 4 == 0 and case.name in strict:
            hold_plan(oracle, case, "strict plan", strict[case.name], strict=True)
        oracle.settle(case)


def hold_case(oracle, case, live, later, plan, answers):
    """What the program says of one case."""
    missing = [of for of, answer in answers.items() if answer is None] + ["the plan"] * (plan is None)
    oracle.check(case, "every answer", not missing, f"nothing is said of it in {missing}")
    before, declared = live.certain, of_rules(case.config.declared)
    additive = case.mode == "additive"

    if answer := answers["inventories"]:
        doubtful = live.is_doubtful() or later.is_doubtful()
        sides = before, later.certain, later.most()
        hold_difference(oracle, case, "diff of inventories", answer, *sides, doubtful)
    if (answer := answers["with"]) and additive:
        hold_bounds(oracle, case, "diff with a configuration", answer, live)
    elif answer:
        sides = before, declared, declared
        hold_difference(oracle, case, "diff with a configuration", answer, *sides, live.is_doubtful())
    if (answer := answers["between"]) and not additive:
        other = of_rules(case.other.declared)
        hold_difference(oracle, case, "diff of configurations", answer, declared, other, other, False)
    if plan:
        hold_plan(oracle, case, "plan", plan)
    if plan and (answer := answers["plan"]):
        after = of_documents(plan["after"])
        sides = before, after, live.after(after, case.mode)
        hold_difference(oracle, case, "diff of a plan", answer, *sides, live.is_doubtful())


def request(case):
    """The rules of a case as a request, in which a rule without sources is the world."""
    infos, rules = [], []
    for key, sources in Live(case.next).rules:
        info = {name: value for name, value in cases.entry(key, sources).items() if name != "state"}
        if case.dice.random() < 0.3:
            sources = cases.EVERYONE
            info = {name: value for name, value in info.items() if isinstance(value, (str, int))}
        infos.append(info)
        rules.append((key, sources))
    return {"instanceName": case.name, "portInfos": infos}, of_rules(rules)


def single(program, oracle, case):
    """Lists of rules without an instance, one pair a run: the exit code is of this case alone."""
    case.family = cases.V4
    live = Live(case.live)
    infos, after = request(case)
    old = program.write("single-old.json", json.dumps({"portStates": case.live}))
    new = program.write("single-new.json", json.dumps(infos))
    for subject, names, after, most in [
        ("diff of rules with a request", (old, new), after, after),
        ("diff of rules with themselves", (old, old), live.certain, live.most()),
    ]:
        answers = program.diff([case], subject, *names, doubtful=live.is_doubtful())
        if None in answers:
            hold_difference(oracle, case, subject, answers[None], live.certain, after, most, live.is_doubtful())
    oracle.settle(case)


def self_test(oracle, seed):
    """True answers have no counterexample, and answers with one mistake have one."""
    for number in range(SELF_TESTS):
        case = cases.Case(seed, number)
        dice = random.Random(f"{seed}/{number}/self")
        boxes = [{"protocol": "tcp", "from": 20, "to": 30, **texts.lists_of(cases.draw_sources(dice))}]
        truth = of_boxes(boxes)
        wrong = copy.deepcopy(boxes)
        mistake = dice.randrange(3)
        if mistake == 0:
            wrong[0]["to"] += dice.choice([-1, 1])
        elif mistake == 1:
            wrong = []
        else:
            # The first address of a /8 that no case has; whoever lets in the world lets it in.
            wrong[0]["cidrs"].append("77.0.0.0/32")
        is_wrong = mistake < 2 or not truth.holds(0, 25, cases.V4, 77 << 24)
        for said, expected in [(boxes, False), (wrong, is_wrong)]:
            silent = Oracle()
            silent.hold("self", exact(said, case.family, truth.plain, "said"))
            silent.settle(case)
            oracle.check(case, "self-test", bool(silent.faults) == expected, f"{said} for {boxes}: {silent.faults}")


def main():
    parser = argparse.ArgumentParser(description="looks for a packet that contradicts the program")
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=int.from_bytes(random.randbytes(4)))
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--case", type=int, help="only the case of this number")
    parser.add_argument("--keep", type=pathlib.Path, help="leave the files in this folder")
    arguments = parser.parse_args()
    numbers = range(arguments.cases) if arguments.case is None else [arguments.case]
    print(f"smt: seed {arguments.seed}, {len(numbers)} cases", flush=True)

    began, oracle = time.monotonic(), Oracle()
    chosen = [cases.Case(arguments.seed, number) for number in numbers]
    with tempfile.TemporaryDirectory() as folder:
        work = arguments.keep or pathlib.Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        program = Program(arguments.program.resolve(), work.resolve(), oracle)
        self_test(oracle, arguments.seed)
        doubtful = [case for case in chosen if case.is_doubtful]
        certain = [case for case in chosen if not case.is_doubtful]
        oracle.tally["doubtful"] = len(doubtful)
        for label, part in [("certain", certain), ("doubtful", doubtful)]:
            if part:
                batch(program, oracle, part, label)
        for case in chosen if len(chosen) == 1 else chosen[::20]:
            single(program, oracle, case)
    unmet = [name for name in MET if not oracle.tally[name]] if len(chosen) >= 1000 else []
    oracle.check(None, "coverage", not unmet, f"never met: {', '.join(unmet)}")
    report(oracle, arguments, program, len(numbers), time.monotonic() - began)


def report(oracle, arguments, program, count, seconds):
    numbers = ", ".join(f"{number} {name}" for name, number in sorted(oracle.tally.items()))
    print(f"smt: {numbers}; {program.runs} runs of the program, {seconds:.0f} s")
    kinds = collections.Counter(": ".join(text.split(": ")[:2]) for _, text in oracle.faults)
    for kind, number in kinds.most_common():
        print(f"smt: {number} × {kind}")
    for number, text in oracle.faults[:FAULTS_SHOWN]:
        print(f"smt: case {number}: {text}" if number is not None else f"smt: {text}")
    if oracle.faults:
        first = next((number for number, _ in oracle.faults if number is not None), 0)
        again = f"tests/smt/run.sh {arguments.program} --seed {arguments.seed} --case {first}"
        print(f"smt: {len(oracle.faults)} faults; again: {again}")
        sys.exit(1)
    print(f"smt: {count} cases, no fault (seed {arguments.seed})")


if __name__ == "__main__":
    main()
