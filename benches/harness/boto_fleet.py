"""What people write with boto3: compare every instance with one list of rules, 16 threads at once, and Put where it differs.

Owns the yardstick. It is kept fair: one client, one pool of connections as wide as the threads, no wait and no proof
after a write. Refuses to be started by hand: `boto_fleet.py URL read|write RULES.json`.
"""

import concurrent.futures
import json
import sys

import boto3
import botocore.config

THREADS = 16


def main():
    url, verb, rules = sys.argv[1:]
    with open(rules, encoding="utf-8") as file:
        wanted = json.load(file)
    config = botocore.config.Config(max_pool_connections=THREADS)
    client = boto3.client("lightsail", endpoint_url=url, config=config)
    pages = client.get_paginator("get_instances").paginate()
    names = [instance["name"] for page in pages for instance in page["instances"]]

    def one(name):
        live = client.get_instance_port_states(instanceName=name)["portStates"]
        if live == wanted:
            return False
        if verb == "write":
            infos = [{key: value for key, value in rule.items() if key != "state"} for rule in wanted]
            client.put_instance_public_ports(instanceName=name, portInfos=infos)
        return True

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        differ = sum(pool.map(one, names))
    print(f"{len(names)} instances, {differ} differ")


main()
