"""What zizmor does not ask of the workflows. usage: python rights.py WORKFLOW...

Owns the rules of this folder: every action is named by its commit, every job says what it may do, and a job that may do more
than read compiles nothing and installs nothing but by the action, which takes what has the right sum.
"""

import copy
import re
import sys

import yaml

PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
# `cargo publish --no-verify` sends files and runs none of them.
BUILDS = re.compile(r"\b(cargo(?! publish --locked --no-verify$)|rustup|npm|npx|pip|pipx|make|docker(?!://)|curl|wget|go)\b", re.M)


def odd(workflow):
    """What is wrong with a workflow."""
    if workflow.get("permissions") != {}:
        yield "gives rights to every job"
    # YAML 1.1 reads the key `on` as a truth.
    triggers = workflow.get("on", workflow.get(True))
    for trigger in ("pull_request_target", "workflow_run"):
        if trigger in triggers:
            yield f"is triggered by {trigger}"
    for name, job in workflow["jobs"].items():
        rights = job.get("permissions")
        if not isinstance(rights, dict):
            yield f"{name} does not say what it may do"
            continue
        strong = [right for right, level in rights.items() if level == "write"]
        for step in job["steps"]:
            uses, script = step.get("uses"), step.get("run", "")
            if uses and not PINNED.fullmatch(uses):
                yield f"{name} uses {uses}, which is not a commit"
            if strong and (found := BUILDS.search(script)):
                yield f"{name} may write {', '.join(strong)} and runs {found.group()}"
            if uses and "/checkout@" in uses and step.get("with", {}).get("persist-credentials") is not False:
                yield f"{name} leaves its token on the disk"


def main():
    failed = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            workflow = yaml.safe_load(file)
        for what in odd(workflow):
            failed += 1
            print(f"FAILED: {path}: {what}")
        # A check that lets everything pass would prove nothing.
        for change in (unpinned, compiling, permissive):
            broken = copy.deepcopy(workflow)
            change(broken)
            if not list(odd(broken)):
                failed += 1
                print(f"FAILED: {path}: {change.__name__} is not found")
    count = len(sys.argv) - 1
    print(f"rights: {count - failed if failed < count else 0} passed, {failed} failed")
    sys.exit(1 if failed or not count else 0)


def unpinned(workflow):
    steps = [step for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    steps[0]["uses"] = "actions/checkout@v5"


def compiling(workflow):
    job = list(workflow["jobs"].values())[-1]
    job["permissions"] = {"id-token": "write"}
    job["steps"].append({"run": "cargo install portward"})


def permissive(workflow):
    del workflow["permissions"]


main()
