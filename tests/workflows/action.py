"""Runs the shell steps of the action as a runner would. usage: python action.py PORTWARD

Owns a file server on loopback with a release, a repository with a pull request that tries to have its own words posted, the
emulator as the service, and a `gh` that writes down what it is asked. The steps that are other actions (checking out, handing
files on) are played here. Shows that each verb, given what the workflows of this repository give it, does its job with the
program of the release and with no other, and that what is posted is what `portward` says of the change by the inventory of the
base.
"""

import hashlib
import io
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tarfile
import tempfile

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from loopback import Server  # noqa: E402

GH = """#!/usr/bin/env bash
echo "$*" >>"$STUB/asked"
case "$1 $2" in
  "auth setup-git" | "auth status") exit 0 ;;
  "attestation verify") exit "$(cat "$STUB/attestation")" ;;
  "pr list") echo 0; exit 0 ;;
  "pr create") exit 0 ;;
esac
shift
method=GET
while [ $# -gt 0 ]; do
  case $1 in
    --paginate) ;;
    --method) method=$2; shift ;;
    --input) cp "$2" "$STUB/body.json"; shift ;;
    *) path=$1 ;;
  esac
  shift
done
echo "$method $path" >>"$STUB/calls"
if [ "$method" = GET ]; then cat "$STUB/comments.json"; else echo '{}'; fi
"""

BASE = 'version = 1\ndefaults = { region = "eu-central-1" }\n[groups.web]\nmatch = { name = "web-*" }\nrules = [\n  { allow = "https", from = "anywhere" },\n]\n'
CHANGED = BASE.replace('"https"', '["https", "tcp/8443"]')
FORGED = "<!-- portward:diff -->\n### forged: nothing changes\n"
ACTION = pathlib.Path("action/action.yml")
VERSION = re.search(r'^version = "(.*)"$', pathlib.Path("Cargo.toml").read_text(), re.M).group(1)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


WORKFLOWS = pathlib.Path(".github/workflows")


def given_by(workflow, job, **values):
    """What a job of a workflow that others call gives to the action, with `needs` and the like as given here."""
    document = yaml.safe_load((WORKFLOWS / f"firewall-{workflow}.yml").read_text(encoding="utf-8"))
    # YAML 1.1 reads the key `on` as a truth.
    inputs = document[True]["workflow_call"]["inputs"]
    known = {f"inputs.{name}": str(one.get("default", f"a-{name}")) for name, one in inputs.items()} | values
    [step] = [step for step in document["jobs"][job]["steps"] if step.get("uses") == "$/action"]
    filled = {name: re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: known.get(found.group(1), ""), value) for name, value in step["with"].items()}
    return {name.replace("-", "_"): value for name, value in filled.items()}


def fleet(*names):
    rule = {"fromPort": 443, "toPort": 443, "protocol": "tcp", "state": "open", "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"]}

    def entry(name):
        arn = f"arn:aws:lightsail:eu-central-1:123456789012:Instance/{name}"
        return {"name": name, "arn": arn, "state": "running", "ipAddressType": "dualstack", "portStates": [rule]}

    return json.dumps({"format": "portward.inventory", "version": 1, "regions": {"eu-central-1": [entry(name) for name in names]}})


def release(portward):
    """Serves a release whose only archive has the program under test, and returns where, and the sum of its archive."""
    name = f"portward-{VERSION}-{platform.machine()}-unknown-linux-musl"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        tar.add(portward, f"{name}/portward")
    archive = packed.getvalue()
    sha256 = hashlib.sha256(archive).hexdigest()
    at = f"/download/v{VERSION}"
    server = Server({f"{at}/{name}.tar.gz": archive, f"{at}/SHA256SUMS": f"{sha256}  {name}.tar.gz\n".encode()})
    return server.url, sha256


# The jobs that use the action, by the workflow.
JOBS = [
    (file.stem.removeprefix("firewall-"), job)
    for file in sorted(WORKFLOWS.glob("firewall-*.yml"))
    for job, one in yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"].items()
    if any(step.get("uses") == "$/action" for step in one["steps"])
]


class Runner:
    """A repository with a pull request, a checkout, and the files that a runner gives to a step."""

    def __init__(self, given, comments=(), files=None, checkout="main", attestation=0):
        self.given = given
        self.folder = tempfile.TemporaryDirectory()
        top = self.top = pathlib.Path(self.folder.name)
        self.stub, self.work, self.temp, self.origin = top / "stub", top / "work", top / "temp", top / "origin"
        for folder in (self.stub, self.temp, top / "home"):
            folder.mkdir()
        (self.stub / "gh").write_text(GH)
        (self.stub / "gh").chmod(0o755)
        (self.stub / "attestation").write_text(str(attestation))
        (self.stub / "comments.json").write_text(json.dumps(list(comments)))
        for name in ("output", "summary", "path"):
            (top / name).touch()
        self.env = {
            "PATH": f"{self.stub}:/usr/bin:/bin",
            "HOME": f"{top}/home",
            "STUB": str(self.stub),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTION_PATH": str(ACTION.parent.resolve()),
            "GITHUB_OUTPUT": f"{top}/output",
            "GITHUB_STEP_SUMMARY": f"{top}/summary",
            "GITHUB_PATH": f"{top}/path",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.git("init", "--quiet", "--initial-branch", "main", str(self.origin), at=top)
        self.commit({"firewall.toml": BASE, "fleet.json": fleet("web-1")})
        self.git("switch", "--quiet", "--create", "proposal", at=self.origin)
        self.commit(files or {"firewall.toml": CHANGED})
        self.git("switch", "--quiet", "--create", "merge", "main", at=self.origin)
        self.git("merge", "--quiet", "--no-ff", "--no-edit", "proposal", at=self.origin)
        self.git("update-ref", "refs/pull/7/merge", "merge", at=self.origin)
        self.git("switch", "--quiet", "main", at=self.origin)
        depth = [] if checkout == "merge" else ["--depth", "1"]
        self.git("clone", "--quiet", *depth, "--branch", checkout, f"file://{self.origin}", str(self.work), at=top)

    def git(self, *arguments, at):
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
        subprocess.run(["git", *who, *arguments], cwd=at, env=self.env, check=True, capture_output=True)

    def commit(self, files):
        for name, content in files.items():
            if content.startswith("-> "):
                (self.origin / name).unlink(missing_ok=True)
                (self.origin / name).symlink_to(content[3:])
            else:
                (self.origin / name).write_text(content)
        self.git("add", ".", at=self.origin)
        self.git("commit", "--quiet", "--message", "a change", at=self.origin)

    def play(self, workflow, job, env=None, **values):
        """Runs what the job of a workflow gives to the action."""
        return self.run(env=env, **given_by(workflow, job, **values))

    def run(self, verb, env=None, **inputs):
        """The name of the step that failed, if any, and its exit code."""
        action = yaml.safe_load(ACTION.read_text())
        values = {f"${{{{ inputs.{name} }}}}": str(one.get("default", "")) for name, one in action["inputs"].items()}
        for name, value in {"verb": verb, **self.given, **inputs}.items():
            expression = f"${{{{ inputs.{name.replace('_', '-')} }}}}"
            assert expression in values, f"the action has no input {name}"
            values[expression] = value
        values |= {
            "${{ inputs.number || github.event.pull_request.number }}": inputs.get("number") or "7",
            "${{ github.base_ref || github.event.repository.default_branch }}": "main",
            "${{ github.repository }}": "owner/repository",
            "${{ github.token }}": "a-token",
        }
        for step in action["runs"]["steps"]:
            if "run" not in step or (step.get("id") == "part" and not inputs.get("shard")):
                continue
            own = {name: values[value] for name, value in step.get("env", {}).items()}
            shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
            done = subprocess.run([*shell, step["run"]], cwd=self.work, env=self.env | own | (env or {}), capture_output=True, text=True, check=False)
            self.said = done.stdout + done.stderr
            if done.returncode:
                return step["name"], done.returncode
        return None

    def outputs(self):
        return dict(line.split("=", 1) for line in (self.top / "output").read_text().splitlines())

    def posted(self):
        body = self.stub / "body.json"
        return json.loads(body.read_text())["body"] if body.exists() else None

    def lines(self, name):
        file = self.stub / name
        return file.read_text().splitlines() if file.exists() else []


def main():
    portward = sys.argv[1]
    url, sha256 = release(portward)
    given = {"releases": url, "sha256": sha256}
    failed = number = 0

    def check(title, holds, runner=None):
        nonlocal failed, number
        number += 1
        failed += not holds
        print(f"{'ok' if holds else 'not ok'} {number} - {title}")
        if not holds and runner:
            print(f"# posted: {runner.posted()!r}\n# calls: {runner.lines('calls')}\n# {getattr(runner, 'said', '')}")

    # The action itself.
    action = yaml.safe_load(ACTION.read_text())
    uses = [step for step in action["runs"]["steps"] if "uses" in step]
    check("every action that it uses is a commit", uses and all(PINNED.fullmatch(step["uses"]) for step in uses))
    checkouts = [step for step in uses if "/checkout@" in step["uses"]]
    check("it leaves no token on the disk", checkouts and all(step["with"]["persist-credentials"] is False for step in checkouts))
    check("it installs the version of its commit", action["inputs"]["version"]["default"] == VERSION)
    roles = {(name, job): given_by(name, job, **{"inputs.role": "firewall"}).get("role") for name, job in JOBS}
    right = {"firewall-read": {"plan", "drift", "look", "snapshot"}, "firewall-write": {"apply"}, "firewall-expire": {"expire"}, "firewall-grant": {"with"}}
    check("only the apply may write, and what judges or comments has no role", {role: {job for (_, job), own in roles.items() if own == role} for role in right} == right and roles["review", "review"] is None, None)

    # The pull request.
    forging = {
        "firewall.toml": CHANGED,
        "fleet.json": fleet("db-1"),
        "diff.md": FORGED,
        "body.json": json.dumps({"body": FORGED}),
        "portward": "#!/bin/sh\necho forged\n",
    }
    runner = Runner(given, files=forging)
    failure = runner.play("comment", "comment")
    body = runner.posted() or ""
    # By the inventory of the pull request no instance would match, and nothing would open.
    right = failure is None and body.startswith("<!-- portward:diff -->") and "tcp/8443" in body and "web-1" in body
    check("what is posted is what the change means, by the inventory of the base", right and "forged" not in body, runner)
    check("it is a new comment", runner.lines("calls")[-1:] == ["POST repos/owner/repository/issues/7/comments"], runner)
    written = sorted(path.name for path in runner.work.iterdir())
    check("no file of the pull request is on the disk", written == [".git", "firewall.toml", "fleet.json"], runner)

    others = {"id": 1, "user": {"login": "somebody"}, "body": FORGED}
    own = {"id": 2, "user": {"login": "github-actions[bot]"}, "body": "<!-- portward:diff -->\nold"}
    runner = Runner(given, [others, own])
    failure = runner.play("comment", "comment")
    change = ["PATCH repos/owner/repository/issues/comments/2"]
    check("the bot's own comment is changed, and nobody else's", failure is None and runner.lines("calls")[-1:] == change, runner)
    for title, files in [
        ("a configuration that is not valid", {"firewall.toml": "version = \n"}),
        ("a configuration that is a link", {"firewall.toml": "-> /etc/passwd"}),
    ]:
        runner = Runner(given, files=files)
        failure = runner.play("comment", "comment")
        check(f"{title} has nothing posted", failure and failure[0] == "Run portward" and runner.posted() is None, runner)
    runner = Runner(given)
    failure = runner.play("comment", "comment", **{"github.event.inputs.number": "7; id"})
    check("a number that is none is not asked for", failure == ("Run portward", 64) and not runner.lines("calls"), runner)

    runner = Runner(given, files={"firewall.toml": CHANGED, "fleet.json": fleet("db-1")}, checkout="merge")
    failure = runner.play("review", "review")
    summary = (runner.top / "summary").read_text()
    right = failure is None and "title=portward PW-201" in runner.said and "web-1" in runner.said and "tcp/8443" in summary
    check("a review shows what opens, by the inventory of the base, and asks nobody", right and not runner.lines("calls"), runner)
    runner = Runner(given, files={"firewall.toml": CHANGED.replace("https", "htps")}, checkout="merge")
    failure = runner.play("review", "review")
    check("a review fails where the configuration is not valid", failure == ("Run portward", 65) and "::error" in runner.said, runner)
    runner = Runner(given)
    failure = runner.play("review", "findings")
    log = json.loads((runner.work / "firewall.sarif").read_text())
    check("findings are a SARIF log", failure is None and log["version"] == "2.1.0", runner)

    # Which program runs.
    for title, inputs, attestation, step in [
        ("an archive with another sum", {"sha256": "0" * 64}, 0, "Install portward"),
        ("an archive without a sum that somebody else built", {"sha256": ""}, 1, "Install portward"),
        ("a version that is not there", {"version": "99.0.0"}, 0, "Install portward"),
        ("a verb that is none", {"verb": "nothing"}, 0, "Run portward"),
    ]:
        runner = Runner(given, attestation=attestation)
        failure = runner.run(inputs.pop("verb", "check"), **inputs)
        check(f"{title} is refused", failure and failure[0] == step, runner)
    runner = Runner(given)
    failure = runner.run("install", sha256="")
    asked = [line for line in runner.lines("asked") if line.startswith("attestation verify")]
    check("an archive without a sum must have been built by the release workflow", failure is None and len(asked) == 1, runner)
    installed = (runner.top / "path").read_text().strip()
    check("it is on the path of later steps", os.access(f"{installed}/portward", os.X_OK), runner)

    # The fleet, on the emulator.
    runner = Runner(given, checkout="merge")
    (runner.top / "live.json").write_text(fleet("web-1", "web-2"))
    service = {"PORTWARD_EMULATOR": f"{runner.top}/live.json"}
    failure = runner.play("apply", "plan", service)
    outputs = runner.outputs()
    check("a plan has a digest and says how much it changes", failure is None and outputs["to-change"] == "2" and outputs["digest"].startswith("sha256:"), runner)
    digest = {"needs.plan.outputs.digest": outputs["digest"]}
    plan = (runner.work / "plan.json").read_text()
    (runner.work / "plan.json").write_text(plan.replace("8443", "8444"))
    failure = runner.play("apply", "apply", service, **digest)
    check("a plan that was exchanged is not carried out", failure == ("Run portward", 4), runner)
    (runner.work / "plan.json").write_text(plan)
    check("a plan without a digest is not carried out", runner.play("apply", "apply", service) == ("Run portward", 64), runner)
    failure = runner.play("drift", "drift", service)
    check("drift is found before", failure == ("Run portward", 2), runner)
    failure = runner.play("apply", "apply", service, **digest)
    receipts = list((runner.work / ".portward/receipts").iterdir())
    check("the plan is carried out, with a receipt", failure is None and receipts and (runner.work / "report.json").exists(), runner)
    check("and nothing is left to do", runner.play("drift", "drift", service) is None, runner)

    check("what is over is closed, where something is", runner.play("expire", "expire", service) is None, runner)

    # The command of `firewall-with`, by a program that shows its arguments and runs what stands behind `--`.
    document = yaml.safe_load((WORKFLOWS / "firewall-with.yml").read_text(encoding="utf-8"))
    [step] = [step for step in document["jobs"]["with"]["steps"] if "run" in step]
    (runner.stub / "portward").write_text('#!/bin/bash\nprintf "%s|" "$@"\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    (runner.stub / "portward").chmod(0o755)
    values = {"CONFIG": "a.toml", "INSTANCE": "web 1", "SERVICE": "ssh", "FOR": "20m", "RUN": "false; echo not stopped", "GITHUB_WORKFLOW": "a name", "GITHUB_RUN_ID": "7"}
    done = subprocess.run(["bash", "-e", "-c", step["run"]], env=runner.env | values, capture_output=True, text=True, check=False)
    expected = "with|web 1|ssh|--config|a.toml|--from|me|--for|20m|--reason|a name 7|--|bash|-euo|pipefail|-c|false; echo not stopped|"
    check("a command with access is given as it is, and stops where it fails", (done.returncode, done.stdout) == (1, expected) and set(step["env"]) == {*values, "SSH_KEY"} - {"GITHUB_WORKFLOW", "GITHUB_RUN_ID"}, runner)
    (runner.stub / "portward").unlink()

    shards = runner.work / "shards"
    for shard in ("1", "2"):
        failure = runner.play("shards", "look", service, **{"matrix.shard": shard, "inputs.shards": "2"})
        check(f"part {shard} is looked at", failure is None and runner.outputs()["number"] == shard, runner)
        (shards / f"firewall-shard-{shard}").mkdir(parents=True)
        (runner.work / "report.json").rename(shards / f"firewall-shard-{shard}" / "report.json")
    check("the parts make one answer", runner.play("shards", "answer") is None and "portward" in (runner.top / "summary").read_text(), runner)
    (shards / "firewall-shard-2" / "report.json").unlink()
    check("a part without a report makes it 6", runner.play("shards", "answer") == ("Run portward", 6), runner)

    failure = runner.play("inventory", "snapshot", service)
    made = runner.temp / "portward/inventory/fleet.json"
    sum = hashlib.sha256(made.read_bytes()).hexdigest()
    check("an inventory has a sum", failure is None and runner.outputs()["sha256"] == sum, runner)
    proposing = Runner(given)
    other = proposing.temp / "portward/inventory"
    other.mkdir(parents=True)
    (other / "fleet.json").write_bytes(made.read_bytes())
    check("an inventory that was exchanged is not proposed", proposing.play("inventory", "propose", **{"needs.snapshot.outputs.sha256": "0" * 64}) == ("Run portward", 1), proposing)
    failure = proposing.play("inventory", "propose", **{"needs.snapshot.outputs.sha256": sum})
    pushed = subprocess.run(["git", "show", "firewall-inventory:fleet.json"], cwd=proposing.origin, capture_output=True, check=False).stdout
    created = any(line.startswith("pr create") for line in proposing.lines("asked"))
    check("it becomes a pull request", failure is None and pushed == made.read_bytes() and created, proposing)
    print(f"action: {number - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
