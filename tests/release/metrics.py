"""Holds what examples/prometheus asks for against what a run writes. usage: python3 metrics.py PORTWARD FILE...

Owns one question: does every metric, and every label of it, that a rule or a panel names exist? Does not judge a rule; promtool
does.
"""

import json
import pathlib
import re
import subprocess
import sys

QUERY = re.compile(r"\b(portward_[a-z_]+)(\{[^}]*\})?")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')


def written(portward):
    """Each metric that a run writes, with its labels. A policy that does not hold is in the example fleet."""
    run = [portward, "drift", "--config", "firewall.example.toml", "--inventory", "examples/fleet.json", "--format", "prometheus"]
    text = subprocess.run(run, capture_output=True, text=True, check=False).stdout
    # Nothing is called without a service, and nothing is sharded here.
    found = {name: {"config", "verb", "shard"} for name in re.findall(r"^# TYPE (\w+) gauge$", text, re.M)}
    found.get("portward_api_calls", set()).update(("action", "answer"))
    for name, labels in re.findall(r"^(\w+)\{(.*)\} \S+$", text, re.M):
        found[name].update(re.findall(r'(\w+)="', labels))
    return found


def wrong(text, known):
    """What the queries in a text name and no run writes."""
    for name, matchers in QUERY.findall(text):
        if name not in known:
            yield f"there is no metric {name}"
            continue
        for label in LABEL.findall(matchers):
            if label not in known[name]:
                yield f"{name} has no label {label}"


def main():
    portward, *files = sys.argv[1:]
    known = written(portward)
    failed = 0
    queries = 0
    for file in files:
        text = pathlib.Path(file).read_text(encoding="utf-8")
        if file.endswith(".json"):
            document = json.loads(text)
            expressions = [target["expr"] for panel in document["panels"] for target in panel["targets"]]
            expressions += [variable["query"] for variable in document["templating"]["list"]]
            text = "\n".join(expressions)
        queries += len(QUERY.findall(text))
        for what in wrong(text, known):
            failed += 1
            print(f"FAILED: {file}: {what}")
    # A check that lets everything pass would prove nothing.
    for bad in ("sum(portward_nonsense)", 'portward_rules_expiring{colour="red"}'):
        failed += not list(wrong(bad, known))
    if queries < 10 or "policy" not in known.get("portward_policy_violated", ()):
        failed += 1
        print("FAILED: there are hardly any queries, or no violation names its policy")
    print(f"metrics: {queries} queries, {failed} failed")
    sys.exit(1 if failed else 0)


main()
