"""Runs the jobs of the component for GitLab as its runner would. usage: python gitlab.py PORTWARD

Owns the inputs, a release on loopback, a merge request, and the emulator as the service. Shows that a job runs the program only
with the right sum, that a plan that was exchanged is not carried out, and that what has credentials is no merge request's.
"""


import json
import os
import pathlib
import re
import stat
import subprocess
import sys

import yaml

from action import BASE, CHANGED, VERSION, Runner, fleet, release

COMPONENT = pathlib.Path("templates/portward.yml")


def document(inputs):
    """The jobs, with the inputs in their places as GitLab puts them there."""
    text = COMPONENT.read_text(encoding="utf-8")
    head, _, body = text.partition("\n---\n")
    known = yaml.safe_load(head)["spec"]["inputs"]
    assert set(inputs) <= set(known), f"the component has no input {set(inputs) - set(known)}"
    values = {name: inputs.get(name, (one or {}).get("default")) for name, one in known.items()}
    missing = [name for name, value in values.items() if value is None]
    assert not missing, f"{missing} have no value"
    return yaml.safe_load(re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: values[found.group(1)], body))


def job(jobs, name):
    """A job with what it extends, maps joined and lists replaced."""
    own = dict(jobs[name])
    if parent := own.pop("extends", None):
        base = job(jobs, parent)
        for key, value in own.items():
            base[key] = {**base[key], **value} if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        own = base
    return own


def run(jobs, name, runner, **env):
    """Its exit code."""
    one = job(jobs, name)
    variables = {key: os.path.expandvars(value) for key, value in one.get("variables", {}).items()}
    if "id_tokens" in one:
        variables["PORTWARD_TOKEN"] = "a-token"
    script = "\n".join([*one.get("before_script", []), *one["script"]])
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=runner.work, env=runner.env | variables | env, capture_output=True, text=True, check=False)
    runner.said = done.stdout + done.stderr
    return done.returncode


def main():
    url, sha256 = release(sys.argv[1])
    example = yaml.safe_load(pathlib.Path("examples/ci/gitlab.yml").read_text())["include"][0]["inputs"]
    inputs = {**example, "version": VERSION, "sha256": sha256, "releases": url}
    jobs = document(inputs)
    failed = number = 0

    def check(title, holds, runner=None):
        nonlocal failed, number
        number += 1
        failed += not holds
        print(f"{'ok' if holds else 'not ok'} {number} - {title}")
        if not holds and runner:
            print("# " + getattr(runner, "said", "").replace("\n", "\n# "))

    named = [name for name in jobs if not name.startswith(".")]
    with_role = [name for name in named if "id_tokens" in job(jobs, name)]
    rules = {name: json.dumps(job(jobs, name)["rules"]) for name in named}
    check("only what runs on the default branch has a role", with_role == ["firewall-plan", "firewall-apply"] and all("merge_request" not in rules[name] for name in with_role))
    check("a person starts the apply, in an environment", job(jobs, "firewall-apply")["rules"][0]["when"] == "manual" and job(jobs, "firewall-apply")["environment"]["name"] == "firewall")
    check("the plan and the apply have roles of their own", job(jobs, "firewall-plan")["variables"]["AWS_ROLE_ARN"] != job(jobs, "firewall-apply")["variables"]["AWS_ROLE_ARN"])

    target = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    runner = Runner({}, files={"firewall.toml": CHANGED, "fleet.json": fleet("db-1")}, checkout="merge")
    code = run(jobs, "firewall-review", runner, **target)
    diff = (runner.work / "diff.md").read_text() if code == 0 else ""
    check("a merge request is judged by the inventory of its target", code == 0 and "web-1" in diff and "tcp/8443" in diff, runner)
    check("it sees no token", not (runner.work / ".portward-release/token").exists(), runner)
    runner = Runner({}, files={"firewall.toml": BASE.replace("https", "htps")}, checkout="merge")
    check("a configuration that is not valid fails", run(jobs, "firewall-review", runner, **target) == 65, runner)
    runner = Runner({}, checkout="merge")
    other = document({**inputs, "sha256": "0" * 64})
    code = run(other, "firewall-review", runner, **target)
    check("an archive with another sum is not even unpacked", code == 1 and len(list((runner.work / ".portward-release").iterdir())) == 1, runner)

    (runner.top / "live.json").write_text(fleet("web-1", "web-2"))
    service = {"PORTWARD_EMULATOR": f"{runner.top}/live.json"}
    code = run(jobs, "firewall-plan", runner, **service)
    digest = (runner.work / "digest.env").read_text().strip().removeprefix("PORTWARD_DIGEST=") if code == 0 else ""
    check("a plan has a digest", json.loads((runner.work / "plan.json").read_text())["digest"] == digest, runner)
    token = runner.work / ".portward-release/token"
    check("the token is for its owner only", token.read_text() == "a-token" and stat.S_IMODE(token.stat().st_mode) == 0o600, runner)
    plan = (runner.work / "plan.json").read_text()
    (runner.work / "plan.json").write_text(plan.replace("8443", "8444"))
    check("a plan that was exchanged is not carried out", run(jobs, "firewall-apply", runner, PORTWARD_DIGEST=digest, **service) == 4, runner)
    (runner.work / "plan.json").write_text(plan)
    check("the plan is carried out", run(jobs, "firewall-apply", runner, PORTWARD_DIGEST=digest, **service) == 0, runner)
    after = {**jobs, "drift": {"extends": ".portward-role", "script": ["portward drift"]}}
    check("and nothing is left to do", run(after, "drift", runner, **service) == 0, runner)
    print(f"gitlab: {number - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
