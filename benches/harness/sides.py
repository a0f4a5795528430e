"""Side by side: portward, boto3, the AWS CLI, Ansible and Terraform do the same job against the same emulator.

The job is one list of rules on every instance, once when all is in sync and once when one address of one rule changes
everywhere. Nothing is throttled; every reply is late by the same 50 ms. Nothing is extrapolated: a tool that would take
too long for a size is left out with the reason, or does a part, which its row says.
"""

import json
import pathlib
import shutil
import sys

import fleet
import table
from emulator import REGION, emulator
from measure import Failed

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "terraform"))
import recorder  # noqa: E402

RULES = 5
JOBS = ("in sync", "one rule changed")
# What the slow ones do of more than fifty instances: every further one costs them the same. 0: nothing, since Terraform
# has to make a state of all of them first.
SLICE = {"aws cli": 20, "ansible": 10, "terraform": 0}
FULL = 50


def run(bench, wanted):
    before, after = list(fleet.rules(RULES)), list(fleet.rules(RULES, ssh=fleet.SECOND))
    shown = []
    for size in (1, 50) if bench.quick else (1, 50, 1000):
        for tool, (prepare, start) in TOOLS.items():
            count = min(size, SLICE.get(tool, size)) if size > FULL or bench.quick else size
            who = tool if count == size else f"{tool}, {count} of them"
            if not count:
                shown += [(size, job, tool, *["-"] * 6, f"not run: {FULL} took long enough") for job in JOBS]
                continue
            table.note(f"        {tool}, {size} instances")
            shown += rows(bench, size, count, who, prepare, start, before, after)
    table.show(
        f"Side by side: {RULES} rules an instance, 50 ms latency, no throttling",
        ("instances", "job", "who", "wall", "CPU", "peak memory", "calls", "writes", "shut at most", "result"),
        shown,
    )
    return []


def rows(bench, size, count, who, prepare, start, before, after):
    """Both jobs of one tool, on the first `count` instances of so many."""
    folder = bench.folder / "side"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    state = fleet.inventory(folder / "fleet.json", size, before)
    with emulator(bench.portward, state, bench.folder, "--latency", "50ms") as served:
        try:
            reason = prepare(bench, folder, served.url, count, before)
        except Failed as error:
            reason = str(error).splitlines()[0]
        if reason:
            return [(size, job, who, *["-"] * 6, f"not run: {reason}") for job in JOBS]
        served.calls()
        shown = []
        for job, rules in zip(JOBS, (before, after), strict=True):
            run = start(bench, folder, served.url, count, rules, job == JOBS[1])
            calls = served.calls()
            shut = calls.shut(fleet.wanted(rules))
            result = "done" if run.code == 0 else f"exit {run.code}: {(run.err or run.out).strip()[-60:]!r}"
            costs = table.seconds(run.wall), table.seconds(run.cpu), table.mib(run.peak)
            writes = sum(calls.by_action[action] for action in calls.by_action if "PublicPorts" in action)
            never = "never" if shut == 0 else table.seconds(shut)
            shown.append((size, job, who, *costs, calls.total, writes, never, result))
        return shown


def nothing(*_):
    return None


def portward(bench, folder, url, count, rules, changed):
    config = fleet.group(folder / "firewall.toml", rules)
    how = ("-c", config, "--endpoint-url", url, "--rate", "unlimited")
    if changed:
        return bench.runner.run(bench.portward, "apply", *how, "--yes")
    return bench.runner.run(bench.portward, "plan", *how)


def boto(bench, folder, url, count, rules, changed):
    path = folder / "rules.json"
    path.write_text(json.dumps(fleet.port_states(rules)), encoding="utf-8")
    return bench.boto(url, "write", path)


def cli(bench, folder, url, count, rules, changed):
    """One command an instance: a read, or the Put of somebody who does not look first."""
    infos = [{k: v for k, v in rule.items() if k != "state"} for rule in fleet.port_states(rules)]
    (folder / "rules.json").write_text(json.dumps(infos), encoding="utf-8")
    what = "get-instance-port-states"
    if changed:
        what = f"put-instance-public-ports --port-infos file://{folder}/rules.json"
    names = " ".join(fleet.name(number) for number in range(1, count + 1))
    command = f'for name in {names}; do "$0" --endpoint-url "$1" lightsail {what} --instance-name "$name" || exit; done'
    return bench.runner.run("sh", "-c", command, bench.venv / "bin/aws", url)


def ansible_there(bench, folder, url, count, rules):
    return None if (bench.venv / "bin/ansible-playbook").exists() else "ansible is not installed"


def ansible(bench, folder, url, count, rules, changed):
    ports = [
        {"from_port": port, "to_port": port, "protocol": "tcp", "cidrs": cidrs, "ipv6_cidrs": []} for port, cidrs in rules
    ]
    module = {
        "name": "{{ item }}",
        "region": REGION,
        "endpoint_url": url,
        "zone": f"{REGION}a",
        "blueprint_id": "debian_12",
        "bundle_id": "nano_3_0",
        "public_ports": ports,
    }
    loop = [fleet.name(number) for number in range(1, count + 1)]
    task = {"community.aws.lightsail": module, "loop": loop}
    interpreter = {"ansible_python_interpreter": str(bench.venv / "bin/python")}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": interpreter, "tasks": [task]}
    # JSON is YAML.
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    return bench.runner.run(bench.venv / "bin/ansible-playbook", "-i", "localhost,", folder / "play.yml")


def terraform_ready(bench, folder, url, count, rules):
    """Makes the state that Terraform wants to have before it can compare: an apply, whose cost does not count."""
    if not shutil.which("terraform"):
        return "terraform is not installed"
    if not bench.mirror:
        return "TF_PROVIDER_MIRROR names no mirror with hashicorp/aws"
    lines = f'provider_installation {{\n  filesystem_mirror {{\n    path = "{bench.mirror}"\n  }}\n}}\n'
    (folder / "cli.tfrc").write_text(lines, encoding="utf-8")
    module(folder, url, count, rules)
    for command in (("init", "-input=false"), ("apply", "-auto-approve", "-input=false")):
        terraform(bench, folder, command).expect(0)
    return None


def terraform_run(bench, folder, url, count, rules, changed):
    module(folder, url, count, rules)
    return terraform(bench, folder, ("apply", "-auto-approve", "-input=false") if changed else ("plan", "-input=false"))


def terraform(bench, folder, command):
    env = {"TF_CLI_CONFIG_FILE": str(folder / "cli.tfrc"), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    return bench.runner.run("terraform", f"-chdir={folder}", *command, "-no-color", env=env)


def module(folder, url, count, rules):
    """The module of benches/terraform, with these rules and names instead of its own."""
    text = recorder.terraform(1, 1, fleet.FIRST, url)
    provider, _, _ = text.partition('\nresource "')
    blocks = "".join(
        f'  port_info {{\n    protocol = "tcp"\n    from_port = {port}\n    to_port = {port}\n    cidrs = {json.dumps(cidrs)}\n  }}\n'
        for port, cidrs in rules
    )
    names = json.dumps([fleet.name(number) for number in range(1, count + 1)])
    resource = f'resource "aws_lightsail_instance_public_ports" "web" {{\n  for_each = toset({names})\n  instance_name = each.value\n{blocks}}}\n'
    (folder / "main.tf").write_text(f"{provider}\n{resource}", encoding="utf-8")


TOOLS = {
    "portward": (nothing, portward),
    "boto3": (nothing, boto),
    "aws cli": (nothing, cli),
    "ansible": (ansible_there, ansible),
    "terraform": (terraform_ready, terraform_run),
}
