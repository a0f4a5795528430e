"""boto3 against `portward emulate`, every reply checked against the service model that botocore ships.

    python boto.py PORTWARD FLEET

Owns the check of a reply: each member of the raw JSON (or XML, for STS) must be in the model, have its type and, where the
model has an enum, one of its values; and what botocore hands out must hold everything that was sent. One emulator runs for
each set of quirks whose replies are still supposed to fit the model. Ends only the servers that it started.
"""

import collections
import datetime
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import boto3
import botocore.config
import botocore.exceptions

REGION = "eu-central-1"

# Replies under these quirks say nothing that the model does not allow.
QUIRKS = [
    [],
    ["instances-per-page=1", "operations-per-page=1"],
    ["operations=later", "operation-unseen=1"],
    ["operations=fail"],
    ["done=completed", "order=shuffled", "keys=twice"],
    ["lists=not-empty", "address=bare", "ipv6=expanded"],
    ["error-type=prefixed", "error-header=present", "listed-ports=absent"],
    ["open=replace", "close=key", "put=two-steps", "reads=lag"],
    ["tag-operations=none", "tag-reads=lag"],
]

# Where the emulator says what was captured from the service rather than what the model says. Each must be needed.
CAPTURED = {("InstancePortInfo", "accessType"): {"public"}}

# Errors of the front end of AWS, which the model of a single service does not have.
FRONT_END = {
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SerializationException",
    "UnknownOperationException",
    "UnrecognizedClientException",
}


class Checker:
    """Holds replies against the models of their services and counts what it saw."""

    def __init__(self):
        self.problems = []
        self.replies = collections.Counter()
        self.members = 0
        self.captured = set()

    def after_call(self, http_response, parsed, model, **_):
        name = f"{model.service_model.service_name} {model.name} {http_response.status_code}"
        self.replies[name] += 1
        if model.service_model.service_name == "sts":
            found = self.sts(model, http_response)
        else:
            found = self.json(model, http_response, parsed)
        self.problems += [f"{name}: {problem}" for problem in found]

    def json(self, model, reply, parsed):
        kind = reply.headers.get("content-type")
        if kind != "application/x-amz-json-1.1":
            yield f"content-type {kind}"
        body = json.loads(reply.content)
        if reply.status_code == 200:
            yield from self.value(model.output_shape, body, model.output_shape.name)
            yield from lost(model.output_shape, body, parsed, model.output_shape.name)
            return
        code = body.pop("__type").rsplit("#", 1)[-1].split(":", 1)[0]
        if parsed["Error"]["Code"].rsplit("#", 1)[-1] != code:
            yield f"botocore reads {code} as {parsed['Error']['Code']}"
        shapes = {shape.name: shape for shape in model.error_shapes}
        if code in FRONT_END:
            if set(body) != {"message"}:
                yield f"an error of the front end with {sorted(body)}"
        elif code in shapes:
            yield from self.value(shapes[code], body, code)
        else:
            yield f"{code} is not an error of {model.name}"

    def value(self, shape, value, at):
        """What is wrong with a value at a place."""
        self.members += 1
        right = TYPES[shape.type_name]
        if isinstance(value, bool) != (shape.type_name == "boolean") or not isinstance(value, right):
            yield f"{at}: {value!r} is not a {shape.type_name}"
        elif shape.type_name == "structure":
            for name in shape.required_members:
                if name not in value:
                    yield f"{at}: {name} is required"
            for name, inner in value.items():
                if name not in shape.members:
                    yield f"{at}: the model has no member {name}"
                elif inner in CAPTURED.get((shape.name, name), ()):
                    self.captured.add((shape.name, name))
                else:
                    yield from self.value(shape.members[name], inner, f"{at}.{name}")
        elif shape.type_name == "list":
            for place, inner in enumerate(value):
                yield from self.value(shape.member, inner, f"{at}[{place}]")
        elif getattr(shape, "enum", None) and value not in shape.enum:
            yield f"{at}: {value!r} is not one of {shape.enum}"
        elif shape.type_name == "integer":
            limits = shape.metadata
            if not limits.get("min", value) <= value <= limits.get("max", value):
                yield f"{at}: {value} is not within {limits}"

    def sts(self, model, reply):
        root = ElementTree.fromstring(reply.content)
        if reply.status_code == 200:
            result = root.find(f"{{*}}{model.output_shape.serialization['resultWrapper']}")
            if result is None:
                yield "no result"
            else:
                yield from self.element(model.output_shape, result, model.output_shape.name)
        elif root.find("{*}Error/{*}Code") is None:
            yield "an error without a code"

    def element(self, shape, element, at):
        self.members += 1
        if shape.type_name != "structure":
            if len(element):
                yield f"{at}: elements in a {shape.type_name}"
            return
        names = [inner.tag.rsplit("}", 1)[-1] for inner in element]
        for name in set(shape.required_members) - set(names):
            yield f"{at}: {name} is required"
        for name, inner in zip(names, element):
            if name not in shape.members:
                yield f"{at}: the model has no member {name}"
            else:
                yield from self.element(shape.members[name], inner, f"{at}.{name}")


TYPES = {
    "structure": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "float": (int, float),
    # JSON 1.1 sends times as seconds since 1970.
    "timestamp": (int, float),
}


def lost(shape, sent, parsed, at):
    """What was sent and is not in what botocore hands out."""
    if shape.type_name == "structure":
        for name, inner in sent.items():
            if name in shape.members and name not in parsed:
                yield f"{at}.{name} is lost"
            elif name in shape.members:
                yield from lost(shape.members[name], inner, parsed[name], f"{at}.{name}")
    elif shape.type_name == "list":
        if len(sent) != len(parsed):
            yield f"{at}: {len(parsed)} of {len(sent)}"
        for place, (inner, there) in enumerate(zip(sent, parsed)):
            yield from lost(shape.member, inner, there, f"{at}[{place}]")
    elif shape.type_name == "timestamp":
        if not isinstance(parsed, datetime.datetime) or abs(parsed.timestamp() - sent) > 0.001:
            yield f"{at}: {sent} is read as {parsed}"
    elif sent != parsed:
        yield f"{at}: {sent!r} is read as {parsed!r}"


class Server:
    """An emulator with a fleet and a folder of its own."""

    def __init__(self, portward, fleet, quirks):
        self.folder = tempfile.TemporaryDirectory()
        self.state = pathlib.Path(self.folder.name) / "fleet.json"
        shutil.copy(fleet, self.state)
        self.command = [portward, "emulate", "--listen", "127.0.0.1:0", "--state", str(self.state)]
        self.command += [f"--quirk={quirk}" for quirk in quirks]

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        return self

    def stop(self):
        self.process.terminate()
        self.process.communicate()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()

    def client(self, service, checker, region=REGION, key="test", secret="test", token=None):
        client = boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )
        client.meta.events.register(f"after-call.{service}", checker.after_call)
        return client


class Results:
    """`ok N - ...` for what holds, `not ok N - ...` for what does not."""

    def __init__(self):
        self.number = self.failed = 0

    def check(self, title, holds, told=""):
        self.number += 1
        self.failed += not holds
        print(f"{'ok' if holds else 'not ok'} {self.number} - {title}")
        if not holds:
            print("".join(f"# {line}\n" for line in str(told).splitlines()), end="")


def code(call, **arguments):
    """The code of the error that a call ends with."""
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"].rsplit("#", 1)[-1]
    return None


LEASE = "portward:grant:1"
ECHO = {"protocol": "icmp", "fromPort": 8, "cidrs": ["192.0.2.0/24"]}  # without toPort, as the Go SDK sends 0
RULES = [
    {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"]},
    {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrs": ["192.0.2.7"], "cidrListAliases": ["lightsail-connect"]},
    {"protocol": "17", "fromPort": 7000, "toPort": 7010, "cidrs": ["192.0.2.0/24", "198.51.100.0/24"]},
    {"protocol": "icmpv6", "fromPort": 128, "toPort": 0, "ipv6Cidrs": ["2001:db8::/32"]},
    ECHO,
]


def keys(client, name="web-1"):
    states = client.get_instance_port_states(instanceName=name)["portStates"]
    return sorted({(state["protocol"], state["fromPort"], state["toPort"]) for state in states})


def walk(lightsail, sts, checker, server):
    """Every operation, and every error that a client can bring about."""
    put = lightsail.put_instance_public_ports(instanceName="web-1", portInfos=RULES)["operation"]
    lightsail.open_instance_public_ports(
        instanceName="web-1",
        portInfo={"protocol": "tcp", "fromPort": 80, "toPort": 80, "cidrs": ["192.0.2.0/24"], "ipv6Cidrs": ["::1"]},
    )
    lightsail.close_instance_public_ports(instanceName="web-1", portInfo={"protocol": "TCP", "fromPort": 80, "toPort": 80})
    lightsail.put_instance_public_ports(
        instanceName="all-1", portInfos=[{"protocol": "-1", "toPort": 65535, "cidrs": ["192.0.2.0/24"]}]
    )
    tagged = lightsail.tag_resource(resourceName="web-1", tags=[{"key": LEASE, "value": "v1"}, {"key": "bare"}])
    lightsail.untag_resource(resourceName="web-1", tagKeys=["bare"])
    for operation in tagged["operations"]:
        code(lightsail.get_operation, operationId=operation["id"])
    for _ in range(4):
        code(lightsail.get_operation, operationId=put["id"])
    lightsail.get_instance(instanceName="web-1")
    lightsail.get_instance_state(instanceName="new-1")
    lightsail.get_regions(includeAvailabilityZones=True, includeRelationalDatabaseAvailabilityZones=True)
    for operation, arguments in [("get_instances", {}), ("get_operations", {})]:
        list(lightsail.get_paginator(operation).paginate(**arguments))
    lightsail.get_operations_for_resource(resourceName="web-1")
    refusals = [
        code(lightsail.get_instance, instanceName="web-9"),
        code(lightsail.get_operation, operationId="none"),
        code(lightsail.get_instance, instanceName="x"),
        code(lightsail.get_instances, pageToken="none"),
        code(lightsail.put_instance_public_ports, instanceName="new-1", portInfos=[]),
        code(lightsail.open_instance_public_ports, instanceName="web-1", portInfo={"fromPort": 1, "toPort": 1}),
        code(lightsail.tag_resource, resourceName="web-9", tags=[{"key": "x"}]),
        code(lightsail.tag_resource, resourceName="web-1", tags=[{"key": "aws:x"}]),
        code(lightsail.untag_resource, resourceName="web-1", tagKeys=[]),
        code(lightsail.delete_instance, instanceName="web-1"),
        code(server.client("lightsail", checker, secret="wrong").get_instances),
        code(server.client("lightsail", checker, token="bogus").get_instances),
        code(server.client("sts", checker, token="bogus").get_caller_identity),
    ]
    sts.get_caller_identity()
    role = {"RoleArn": "arn:aws:iam::123456789012:role/portward", "RoleSessionName": "portward"}
    given = sts.assume_role(**role)["Credentials"]
    session = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assumed = server.client("lightsail", checker, REGION, *session)
    assumed.get_instances()
    sts.assume_role_with_web_identity(**role, WebIdentityToken="e30.e30.c2ln")
    return refusals


REFUSALS = ["NotFoundException"] * 2 + ["InvalidInputException"] * 2 + ["OperationFailureException"]
REFUSALS += ["InvalidInputException", "NotFoundException"] + ["InvalidInputException"] * 2
REFUSALS += ["UnknownOperationException", "InvalidSignatureException"]
REFUSALS += ["UnrecognizedClientException", "InvalidClientTokenId"]

OPEN = [("icmp", 8, 0), ("icmpv6", 128, 0), ("tcp", 22, 22), ("tcp", 443, 443), ("udp", 7000, 7010)]


def main():
    portward, fleet = sys.argv[1:]
    results, seen, captured = Results(), collections.Counter(), set()
    members = 0
    for quirks in QUIRKS:
        checker = Checker()
        title = " ".join(quirks) or "no quirk"
        with Server(portward, fleet, quirks) as server:
            lightsail, sts = server.client("lightsail", checker), server.client("sts", checker)
            refusals = walk(lightsail, sts, checker, server)
            results.check(f"{title}: refusals are those of the service", refusals == REFUSALS, refusals)
            # A failed operation changes nothing.
            want = [("tcp", 22, 22)] if "operations=fail" in quirks else OPEN
            there = keys(lightsail)
            for _ in range(3):
                there = keys(lightsail)
            results.check(f"{title}: the rules that must be open", there == want, there)
            tags = lightsail.get_instance(instanceName="web-1")["instance"]["tags"]
            tags = {tag["key"]: tag["value"] for tag in tags}
            want = {"role": "web"} if "operations=fail" in quirks else {"role": "web", LEASE: "v1"}
            results.check(f"{title}: the tags that must be there", tags == want, tags)
            if not quirks:
                everything = keys(lightsail, "all-1")
                results.check("-1 without fromPort is `all`", everything == [("all", 0, 65535)], everything)
                names = sorted(region["name"] for region in lightsail.get_regions()["regions"])
                # Its list of endpoints lags behind the model.
                known = sorted(lightsail.meta.service_model.shape_for("RegionName").enum)
                results.check("the regions are those of the service's model", names == known, names)
                before = lightsail.get_operations()["operations"]
                server.stop()
                server.start()
                again = server.client("lightsail", checker)
                after = again.get_operations()["operations"]
                results.check("operations survive a restart", before and after == before, after)
        results.check(f"{title}: {sum(checker.replies.values())} replies fit the model", not checker.problems, "\n".join(checker.problems))
        seen.update(checker.replies)
        captured |= checker.captured
        members += checker.members
    asked = {tuple(name.split()[:2]) for name in seen if name.endswith(" 200")}
    results.check(f"every operation was answered: {len(asked)}", len(asked) == 13 + 3, sorted(asked))
    results.check("each exception from the model is needed", captured == set(CAPTURED), captured)
    # A checker that finds nothing wrong would prove nothing.
    model = boto3.session.Session().client("lightsail", region_name=REGION).meta.service_model
    shape = model.shape_for("GetInstancePortStatesResult")
    good = {"fromPort": 1, "toPort": 1, "protocol": "tcp", "state": "open", "cidrs": []}
    bad = [{"colour": 1}, {"fromPort": "1"}, {"fromPort": 65536}, {"protocol": "-1"}, {"cidrs": None}, {"toPort": True}, {"state": "ajar"}]
    missed = [change for change in bad if not list(Checker().value(shape, {"portStates": [good | change]}, ""))]
    if list(Checker().value(shape, {"portStates": [good]}, "")):
        missed.append(good)
    results.check("the checker finds what is wrong", not missed, missed)
    print(f"{sum(seen.values())} replies with {members} members")
    print(f"{results.number - results.failed} passed, {results.failed} failed")
    sys.exit(1 if results.failed else 0)


main()
