"""Runs the scripts of the comment workflow as its runner would. usage: python comment.py WORKFLOW PORTWARD

Owns a repository with a pull request that tries to have its own words posted, and a `gh` that writes down what it is asked.
Shows that what is posted is what `portward` says of the change by the inventory of the base, and nothing else.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import yaml

GH = """#!/usr/bin/env bash
[ "$1 $2" = "auth setup-git" ] && exit 0
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


def fleet(name):
    rule = {"fromPort": 443, "toPort": 443, "protocol": "tcp", "state": "open", "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"]}
    entry = {
        "name": name,
        "arn": "arn:aws:lightsail:eu-central-1:123456789012:Instance/1",
        "state": "running",
        "ipAddressType": "dualstack",
        "portStates": [rule],
    }
    return json.dumps({"format": "portward.inventory", "version": 1, "regions": {"eu-central-1": [entry]}})


class Stage:
    """A repository with a pull request, a checkout of its base, and a runner."""

    def __init__(self, workflow, portward, files, comments=()):
        self.folder = tempfile.TemporaryDirectory()
        top = pathlib.Path(self.folder.name)
        self.stub, self.work, self.temp = top / "stub", top / "work", top / "temp"
        origin = top / "origin"
        for folder in (self.stub, self.temp, top / "home"):
            folder.mkdir()
        (self.stub / "gh").write_text(GH)
        (self.stub / "gh").chmod(0o755)
        (self.stub / "comments.json").write_text(json.dumps(list(comments)))
        self.env = {
            "PATH": f"{self.stub}:{top}/home/.cargo/bin:{os.environ['PATH']}",
            "HOME": f"{top}/home",
            "STUB": str(self.stub),
            "RUNNER_TEMP": str(self.temp),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.git("init", "--quiet", "--initial-branch", "main", str(origin), at=top)
        self.commit(origin, {"firewall.toml": BASE, "fleet.json": fleet("web-1")})
        self.git("switch", "--quiet", "--create", "proposal", at=origin)
        self.commit(origin, files)
        self.git("switch", "--quiet", "--create", "merge", "main", at=origin)
        self.git("merge", "--quiet", "--no-ff", "--no-edit", "proposal", at=origin)
        self.git("update-ref", "refs/pull/7/merge", "merge", at=origin)
        self.git("switch", "--quiet", "main", at=origin)
        self.git("clone", "--quiet", "--depth", "1", "--branch", "main", f"file://{origin}", str(self.work), at=top)
        (self.work / "built").mkdir()
        shutil.copy(portward, self.work / "built/portward")
        digest = hashlib.sha256(pathlib.Path(portward).read_bytes()).hexdigest()
        self.values = {
            "${{ needs.portward.outputs.sha256 }}": digest,
            "${{ github.token }}": "a-token",
            "${{ github.repository }}": "owner/repository",
            "${{ github.event.pull_request.number || inputs.number }}": "7",
        }
        self.job = workflow["jobs"]["comment"]

    def git(self, *arguments, at):
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
        subprocess.run(["git", *who, *arguments], cwd=at, env=self.env, check=True)

    def commit(self, at, files):
        for name, content in files.items():
            if content.startswith("-> "):
                (at / name).unlink(missing_ok=True)
                (at / name).symlink_to(content[3:])
            else:
                (at / name).write_text(content)
        self.git("add", ".", at=at)
        self.git("commit", "--quiet", "--message", "a change", at=at)

    def run(self):
        """The name of the step that failed, if any."""
        for step in self.job["steps"]:
            if "run" not in step:
                continue
            env = {name: self.values[value] for name, value in {**self.job["env"], **step.get("env", {})}.items()}
            shell = ["bash", "-e"] if step.get("shell") != "bash" else ["bash", "--noprofile", "--norc", "-eo", "pipefail"]
            done = subprocess.run([*shell, "-c", step["run"]], cwd=self.work, env=self.env | env, capture_output=True, text=True)
            if done.returncode:
                self.told = done.stdout + done.stderr
                return step["name"]
        return None

    def posted(self):
        body = self.stub / "body.json"
        return json.loads(body.read_text())["body"] if body.exists() else None

    def calls(self):
        calls = self.stub / "calls"
        return calls.read_text().split("\n")[:-1] if calls.exists() else []


def main():
    path, portward = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        workflow = yaml.safe_load(file)
    failed = number = 0

    def check(title, holds, stage):
        nonlocal failed, number
        number += 1
        failed += not holds
        print(f"{'ok' if holds else 'not ok'} {number} - {title}")
        if not holds:
            print(f"# posted: {stage.posted()!r}\n# calls: {stage.calls()}\n# {getattr(stage, 'told', '')}")

    forging = {
        "firewall.toml": CHANGED,
        "fleet.json": fleet("db-1"),
        "diff.md": FORGED,
        "body.json": json.dumps({"body": FORGED}),
        "portward": "#!/bin/sh\necho forged\n",
    }
    stage = Stage(workflow, portward, forging)
    failure = stage.run()
    body = stage.posted() or ""
    # By the inventory of the pull request no instance would match, and nothing would open.
    right = failure is None and body.startswith("<!-- portward:diff -->") and "tcp/8443" in body and "web-1" in body
    check("what is posted is what the change means, by the inventory of the base", right and "forged" not in body, stage)
    check("it is a new comment", stage.calls()[-1:] == ["POST repos/owner/repository/issues/7/comments"], stage)
    written = sorted(path.name for path in stage.work.iterdir())
    check("no file of the pull request is on the disk", written == [".git", "built", "firewall.toml", "fleet.json"], stage)

    others = {"id": 1, "user": {"login": "somebody"}, "body": FORGED}
    own = {"id": 2, "user": {"login": "github-actions[bot]"}, "body": "<!-- portward:diff -->\nold"}
    stage = Stage(workflow, portward, {"firewall.toml": CHANGED}, [others, own])
    failure = stage.run()
    change = ["PATCH repos/owner/repository/issues/comments/2"]
    check("the bot's own comment is changed, and nobody else's", failure is None and stage.calls()[-1:] == change, stage)

    for title, files, step in [
        ("a configuration that is not valid", {"firewall.toml": "version = \n"}, "What does the change mean?"),
        ("a configuration that is a link", {"firewall.toml": "-> /etc/passwd"}, "What does the change mean?"),
    ]:
        stage = Stage(workflow, portward, files)
        failure = stage.run()
        check(f"{title} has nothing posted", failure == step and stage.posted() is None, stage)

    stage = Stage(workflow, portward, {"firewall.toml": CHANGED})
    with open(stage.work / "built/portward", "ab") as file:
        file.write(b"\0")
    check("a program that was exchanged is not installed", stage.run() == "Install portward" and not stage.calls(), stage)
    print(f"comment: {number - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
