"""Validates manifests strictly. usage: python validate.py MANIFEST..."""

import copy
import re
import sys

import kubernetes_validate
import yaml

VERSION = "1.34"


def documents(path):
    with open(path, encoding="utf-8") as file:
        return [document for document in yaml.safe_load_all(file) if document]


def wrong(document):
    """What the schema says is wrong; None where it is valid."""
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"is not valid at {'.'.join(map(str, error.path)) or 'the top'}: {error.message}"
    return None


def template(document):
    spec = document["spec"]
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec["template"]


def pod(document):
    return template(document)["spec"]


def labels(document):
    return template(document)["metadata"]["labels"]


def shut(documents):
    """Whether some policy lets every pod of the namespace reach nothing and be reached by nobody, unless another allows it."""
    return any(
        document["kind"] == "NetworkPolicy"
        and document["spec"]["podSelector"] == {}
        and sorted(document["spec"]["policyTypes"]) == ["Egress", "Ingress"]
        and not {"egress", "ingress"} & set(document["spec"])
        for document in documents
    )


DIGEST = re.compile(r"[\w.:/-]+@sha256:[0-9a-f]{64}")


def odd(document):
    """What a schema does not say: that pods are as the restricted security standard wants them, and jobs hold together."""
    if document["kind"] not in ("Job", "CronJob"):
        return
    if "serviceAccountName" in pod(document) and "portward/egress" not in labels(document):
        yield "is somebody to AWS and cannot reach it"
    spec = pod(document)
    if not spec["securityContext"].get("runAsNonRoot"):
        yield "may run as root"
    if spec["securityContext"].get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    mounted = {mount["name"] for box in spec["containers"] for mount in box.get("volumeMounts", [])}
    if mounted != {volume["name"] for volume in spec.get("volumes", [])}:
        yield "mounts other volumes than it has"
    for container in spec["containers"]:
        context = container["securityContext"]
        if not DIGEST.fullmatch(container["image"]):
            yield "names its image by something that can change"
        if container["args"][0] == "apply" and not {"--digest", "/plan/plan.json"} <= set(container["args"]):
            yield "applies what nobody reviewed"
        if context.get("allowPrivilegeEscalation") is not False or context["capabilities"]["drop"] != ["ALL"]:
            yield "may gain privileges"
        if not context.get("readOnlyRootFilesystem"):
            yield "may write to its image"
        if "memory" not in container["resources"]["limits"]:
            yield "has no limit of memory"
        shards = [e["value"] for e in container.get("env", []) if e["name"] == "PORTWARD_SHARDS"]
        if shards and shards != [str(document["spec"]["completions"])]:
            yield "has another number of shards than of completions"


def main():
    failed = 0
    everything = [(path, document) for path in sys.argv[1:] for document in documents(path)]
    for path, document in everything:
        name = f"{path}: {document['kind']}"
        found = [*odd(document), *filter(None, [wrong(document)])]
        for what in found:
            print(f"FAILED: {name} {what}")
        failed += bool(found)
    documents_alone = [document for _, document in everything]
    others = [document for document in documents_alone if document["metadata"].get("name") != "nothing"]
    if not shut(documents_alone) or shut(others):
        failed += 1
        print("FAILED: no policy shuts the namespace")
    # A validator that lets everything pass would prove nothing.
    for path, document in everything:
        broken = copy.deepcopy(document)
        broken["colour"] = "red"
        failed += wrong(broken) is None
        if document["kind"] in ("Job", "CronJob"):
            broken = copy.deepcopy(document)
            pod(broken)["securityContext"]["runAsNonRoot"] = False
            failed += not list(odd(broken))
            broken = copy.deepcopy(document)
            pod(broken)["containers"][0]["image"] = "ghcr.io/portward.example/portward:latest"
            failed += not list(odd(broken))
    print(f"{len(everything)} manifests, {failed} failed")
    sys.exit(1 if failed or not everything else 0)


main()
