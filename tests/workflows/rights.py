"""What the linters do not ask of the workflows. usage: python rights.py WORKFLOW|ACTION...

Owns the rules of this folder. Every action and every called workflow is named by its commit. Every job says what it may do; one
that may do more than read compiles nothing and installs nothing but by the action, which takes what has the right sum. No
script holds an expression: values go through the environment. A job that calls a workflow of this repository grants what that
needs and no more, and gives it the inputs that it has; an example of that has at most ten lines. Does not know the inputs of
actions, which actionlint does.
"""

import copy
import pathlib
import re
import sys

import yaml

PLACE = re.search(r"^REPOSITORY=(.*)$", pathlib.Path("release/place").read_text(encoding="utf-8"), re.M).group(1)
# The action of this repository is that of the commit that runs.
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}|\$/action")
OWN = re.compile(re.escape(PLACE) + r"/(\.github/workflows/[\w-]+\.yml)@[0-9a-f]{40}")
# `cargo publish --no-verify` sends files and runs none of them.
BUILDS = re.compile(r"\b(cargo(?! publish --locked --no-verify$)|rustup|npm|npx|pip|pipx|make|docker(?!://)|curl|wget|go)\b", re.M)
LEVELS = ["none", "read", "write"]


def load(path):
    return yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))


def triggers(workflow):
    # YAML 1.1 reads the key `on` as a truth.
    return workflow.get("on", workflow.get(True))


def odd(workflow):
    """What is wrong with a workflow or an action."""
    if "runs" in workflow:
        for step in workflow["runs"]["steps"]:
            yield from odd_step("the action", step, [])
        return
    if workflow.get("permissions") != {}:
        yield "gives rights to every job"
    for trigger in ("pull_request_target", "workflow_run"):
        if trigger in triggers(workflow):
            yield f"is triggered by {trigger}"
    for name, job in workflow["jobs"].items():
        rights = job.get("permissions")
        if not isinstance(rights, dict):
            yield f"{name} does not say what it may do"
        elif "uses" in job:
            yield from odd_call(name, job)
        else:
            strong = [right for right, level in rights.items() if level == "write"]
            for step in job["steps"]:
                yield from odd_step(name, step, strong)


def odd_step(name, step, strong):
    uses, script = step.get("uses"), step.get("run", "")
    if uses and not PINNED.fullmatch(uses):
        yield f"{name} uses {uses}, which is not a commit"
    if strong and (found := BUILDS.search(script)):
        yield f"{name} may write {', '.join(strong)} and runs {found.group()}"
    if "${{" in script:
        yield f"{name} has an expression in a script"
    if uses and "/checkout@" in uses and step.get("with", {}).get("persist-credentials") is not False:
        yield f"{name} leaves its token on the disk"


def odd_call(name, job):
    own = OWN.fullmatch(job["uses"])
    if not own:
        yield f"{name} calls {job['uses']}, which is not a commit of {PLACE}"
        return
    called = load(own.group(1))
    needed = {}
    for one in called["jobs"].values():
        for right, level in one["permissions"].items():
            needed[right] = max(level, needed.get(right, "none"), key=LEVELS.index)
    if job["permissions"] != needed:
        yield f"{name} grants {job['permissions']}, and {own.group(1)} needs {needed}"
    interface = triggers(called)["workflow_call"]
    for given, known in (("with", interface["inputs"]), ("secrets", interface.get("secrets", {}))):
        values = job.get(given, {})
        missing = {key for key, one in known.items() if one.get("required")} - set(values)
        if missing or set(values) - set(known):
            yield f"{name} gives {sorted(values)}, and {own.group(1)} knows {sorted(known)}"


def main():
    failed = 0
    for path in sys.argv[1:]:
        workflow = load(path)
        for what in odd(workflow):
            failed += 1
            print(f"FAILED: {path}: {what}")
        calls = [job for job in workflow.get("jobs", {}).values() if "uses" in job]
        lines = [line for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines() if line.strip() and line.lstrip()[0] != "#"]
        if calls and len(lines) > 10:
            failed += 1
            print(f"FAILED: {path}: has {len(lines)} lines")
        # A check that lets everything pass would prove nothing.
        changes = [unpinned] if "runs" in workflow else [unpinned, permissive, granting if calls else compiling]
        for change in changes:
            broken = copy.deepcopy(workflow)
            change(broken)
            if not list(odd(broken)):
                failed += 1
                print(f"FAILED: {path}: {change.__name__} is not found")
    count = len(sys.argv) - 1
    print(f"rights: {count - failed if failed < count else 0} passed, {failed} failed")
    sys.exit(1 if failed or not count else 0)


def unpinned(workflow):
    jobs = workflow["jobs"].values() if "jobs" in workflow else [workflow["runs"]]
    places = [place for job in jobs for place in (job, *job.get("steps", [])) if "uses" in place]
    places[0]["uses"] = places[0]["uses"].split("@")[0].removeprefix("$/") + "@v5"


def compiling(workflow):
    job = list(workflow["jobs"].values())[-1]
    job["permissions"] = {"id-token": "write"}
    job["steps"].append({"run": "cargo install portward"})


def granting(workflow):
    for job in workflow["jobs"].values():
        job["permissions"] |= {"contents": "write", "packages": "write"}


def permissive(workflow):
    del workflow["permissions"]


main()
