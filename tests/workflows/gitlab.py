"""Runs the jobs of the component for GitLab as its runner would. usage: python gitlab.py PORTWARD

Owns the inputs, a release on loopback, a merge request and the notes on it, and the emulator as the service. Shows that a job
runs the program only with the right sum, that a plan that was exchanged is not carried out, that what has credentials is no merge
request's, and that the note is what `portward` says of the change and takes nobody else's place.
"""

import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import urllib.parse

import yaml

from action import BASE, CHANGED, FORGED, VERSION, Runner, Server, fleet, release

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


class GitLab(Server):
    """The notes of merge request 7 of project 5, for the token of user 3. It answers `busy` requests for them with 503."""

    def __init__(self, notes=(), busy=0):
        super().__init__()
        self.notes, self.busy = list(notes), busy

    def answer(self, method, path, headers, body):
        if headers["PRIVATE-TOKEN"] != "a-note-token":
            return 401, b""
        if path == "/api/v4/user":
            return 200, json.dumps({"id": 3}).encode()
        if self.busy:
            self.busy -= 1
            return 503, b""
        at, _, query = path.partition("?")
        base = "/api/v4/projects/5/merge_requests/7/notes"
        if method == "GET" and at == base:
            known = dict(urllib.parse.parse_qsl(query))
            start = 100 * (int(known["page"]) - 1)
            assert known["per_page"] == "100" and known["sort"] == "asc"
            return 200, json.dumps(self.notes[start : start + 100]).encode()
        text = json.loads(body)["body"]
        if method == "POST" and at == base:
            self.notes.append(note(len(self.notes) + 1, 3, text))
            return 201, b"{}"
        [old] = [one for one in self.notes if at == f"{base}/{one['id']}"]
        if method != "PUT" or old["author"]["id"] != 3:
            return 403, b""
        old["body"] = text
        return 200, b"{}"

    def written(self):
        return [line for line in self.asked if not line.startswith("GET ")]


def note(id, author, body):
    return {"id": id, "type": None, "body": body, "author": {"id": author}, "system": False}


def requested(runner, **more):
    """What GitLab tells a job of the merge request."""
    sha = {ref: subprocess.run(["git", "rev-parse", ref], cwd=runner.origin, capture_output=True, text=True, check=True).stdout.strip() for ref in ("proposal", "proposal~")}
    known = {
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": sha["proposal~"],
        "CI_COMMIT_SHA": sha["proposal"],
        "CI_REPOSITORY_URL": f"file://{runner.origin}",
        "CI_MERGE_REQUEST_PROJECT_ID": "5",
        "CI_MERGE_REQUEST_IID": "7",
        "TMPDIR": str(runner.temp),
    }
    return known | more


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
    text = pathlib.Path("examples/ci/gitlab.yml").read_text(encoding="utf-8")
    example = yaml.safe_load(text)["include"][0]["inputs"]
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

    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    check("the example has ten lines at most", len(lines) <= 10)
    named = [name for name in jobs if not name.startswith(".")]
    with_role = [name for name in named if "id_tokens" in job(jobs, name)]
    rules = {name: json.dumps(job(jobs, name)["rules"]) for name in named}
    check("only what runs on the default branch has a role", with_role == ["firewall-plan", "firewall-apply"] and all("merge_request" not in rules[name] for name in with_role))
    check("a person starts the apply, in an environment", job(jobs, "firewall-apply")["rules"][0]["when"] == "manual" and job(jobs, "firewall-apply")["environment"]["name"] == "firewall")
    check("the plan and the apply have roles of their own", job(jobs, "firewall-plan")["variables"]["AWS_ROLE_ARN"] != job(jobs, "firewall-apply")["variables"]["AWS_ROLE_ARN"])

    def quality(runner):
        return json.loads((runner.work / "gl-code-quality-report.json").read_text())

    runner = Runner({}, files={"firewall.toml": CHANGED, "fleet.json": fleet("db-1")}, checkout="proposal")
    # What came to the target since then is nothing that the merge request does.
    runner.commit({"firewall.toml": BASE.replace('"https"', '["https", "tcp/9443"]')})
    code = run(jobs, "firewall-review", runner, **requested(runner))
    diff = (runner.work / "diff.md").read_text() if code == 0 else ""
    check("a merge request is judged by the inventory of its target", code == 0 and "web-1" in diff and "tcp/8443" in diff, runner)
    check("and by what it changes itself", "9443" not in diff, runner)
    check("it sees no token", not (runner.work / ".portward-release/token").exists(), runner)
    check("it has a Code Quality report", quality(runner) == [], runner)
    runner = Runner({}, files={"firewall.toml": BASE.replace("https", "htps")}, checkout="proposal")
    check("a configuration that is not valid fails", run(jobs, "firewall-review", runner, **requested(runner)) == 65, runner)
    check("and the report says where", [(one["location"]["path"], one["location"]["lines"]["begin"]) for one in quality(runner)] == [("firewall.toml", 6)], runner)
    runner = Runner({}, checkout="merge")
    other = document({**inputs, "sha256": "0" * 64})
    code = run(other, "firewall-review", runner, **requested(runner))
    check("an archive with another sum is not even unpacked", code == 1 and len(list((runner.work / ".portward-release").iterdir())) == 1, runner)

    # The note. The job has no checkout.
    def noted(gitlab, runner, jobs=jobs, **env):
        runner.work = runner.top / "nothing"
        runner.work.mkdir()
        return run(jobs, "firewall-note", runner, **{"CI_API_V4_URL": f"{gitlab.url}/api/v4", "FIREWALL_NOTE_TOKEN": "a-note-token"} | requested(runner, **env))

    forging = {"firewall.toml": CHANGED, "fleet.json": fleet("db-1"), "note.md": FORGED, "body": FORGED, "json.py": "raise SystemExit(1)\n"}
    runner, gitlab = Runner({}, files=forging), GitLab()
    code = noted(gitlab, runner, FIREWALL_NOTE_TOKEN="")
    check("without a token there is no note, in one line", code == 0 and not gitlab.asked and "no note on the merge request" in runner.said.splitlines()[-1], runner)
    runner = Runner({}, files=forging)
    runner.commit({"firewall.toml": BASE.replace('"https"', '["https", "tcp/9443"]')})
    code = noted(gitlab, runner)
    text = gitlab.notes[0]["body"] if gitlab.notes else ""
    right = code == 0 and text.startswith("<!-- portward:diff -->") and "tcp/8443" in text and "web-1" in text
    check("a note is what the change means, by the inventory of the target", right and "forged" not in text and "9443" not in text, runner)
    check("it is a new one", gitlab.written() == ["POST /api/v4/projects/5/merge_requests/7/notes"], runner)
    files = {path.name for path in runner.top.rglob("*") if path.is_relative_to(runner.temp) or path.is_relative_to(runner.work)}
    check("no file of the merge request is on the disk", not files & {"firewall.toml", "fleet.json", "json.py"}, runner)

    others = [note(1, 9, FORGED), *(note(number, 3, "hello") for number in range(2, 150)), note(150, 3, FORGED), note(151, 3, FORGED)]
    runner, gitlab = Runner({}), GitLab(others)
    code = noted(gitlab, runner)
    check("its own first one is changed, and nobody else's", code == 0 and gitlab.written() == ["PUT /api/v4/projects/5/merge_requests/7/notes/150"] and "tcp/8443" in gitlab.notes[149]["body"], runner)
    for title, files in [("a configuration that is not valid", {"firewall.toml": "version = \n"}), ("a configuration that is a link", {"firewall.toml": "-> /etc/passwd"})]:
        runner, gitlab = Runner({}, files=files), GitLab()
        check(f"{title} has no note", noted(gitlab, runner) not in (0, 127) and not gitlab.asked, runner)
    runner, gitlab = Runner({}), GitLab()
    check("a token that is not valid fails", noted(gitlab, runner, FIREWALL_NOTE_TOKEN="another") == 22 and not gitlab.written(), runner)
    check("the token is not shown", "another" not in runner.said, runner)
    runner, gitlab = Runner({}), GitLab(busy=1)
    check("what can be asked again is", noted(gitlab, runner) == 0 and len(gitlab.notes) == 1, runner)
    long = runner.top / "long"
    long.write_text("#!/bin/sh\nprintf '<!-- portward:diff -->'\nhead -c 2400000 /dev/zero | sed 's/\\x00/é/g'\n")
    long.chmod(0o755)
    place, sum = release(long)
    runner, gitlab = Runner({}), GitLab()
    code = noted(gitlab, runner, document({**inputs, "sha256": sum, "releases": place}))
    check("a note has a million characters at most", code == 0 and len(gitlab.notes[0]["body"]) == 1_000_000, runner)

    runner = Runner({}, checkout="merge")
    (runner.top / "live.json").write_text(fleet("web-1", "web-2"))
    service = {"PORTWARD_EMULATOR": f"{runner.top}/live.json"}
    code = run(jobs, "firewall-plan", runner, **service)
    digest = (runner.work / "digest.env").read_text().strip().removeprefix("PORTWARD_DIGEST=") if code == 0 else ""
    check("the findings of the target are there to compare with", code == 0 and {one["check_name"] for one in quality(runner)} == {"environment"}, runner)
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
