"""A service that registers in Consul with py-consul.

Each line of its input is a command, whose end it confirms with a line: `register ID ADDRESS PORT WEIGHT` registers an instance of the
service with a check of 60 seconds, `pass ID` and `fail ID` set the check, `deregister ID` removes the instance."""

import os
import sys
from urllib.parse import urlsplit

import consul

SERVICE = os.environ["SERVICE"]


def main() -> None:
    url = urlsplit(os.environ["CONSUL_URL"])
    client = consul.Consul(host=url.hostname, port=url.port or 8500, scheme=url.scheme, token=os.environ.get("CONSUL_TOKEN"))
    for line in sys.stdin:
        command, instance, *rest = line.split()
        if command == "register":
            address, port, weight = rest[0], int(rest[1]), int(rest[2])
            check = consul.Check.ttl("60s")
            weights = {"passing": weight, "warning": 1}
            done = client.agent.service.register(
                SERVICE, service_id=instance, address=address, port=port, check=check, weights=weights
            )
        elif command == "pass":
            done = client.agent.check.ttl_pass(f"service:{instance}")
        elif command == "fail":
            done = client.agent.check.ttl_fail(f"service:{instance}")
        else:
            done = client.agent.service.deregister(instance)
        print("done" if done else f"refused: {line}", flush=True)


main()
