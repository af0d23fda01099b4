"""What an operator can do about a queue that the broker refuses as a service declares it. Pure."""

from __future__ import annotations

import json
import shlex

from rpc.errors import DeclarationRefused
from rpc.topology import REQUESTS, ServiceTopology


def explanation(topology: ServiceTopology, error: DeclarationRefused) -> str:
    """Return the refusal in words, with the broker's own, which name the argument that differs."""
    refused = f"{topology.service}: the broker refuses a queue or an exchange of the service: {error}. "
    if not topology.declare_queue:
        return f"{refused}With declare_queue=False an operator has to declare the queue {topology.queue}"
    command = shlex.join(["thrift-rpc", "queue", "migrate", topology.service, *migration_options(topology)])
    return f"{refused}Serve with the arguments that it has, or stop all workers of the service and run: {command}"


def migration_options(topology: ServiceTopology) -> list[str]:
    """Return the words of the command line that stand for the options of a service."""
    default = ServiceTopology(topology.service)
    words: list[str] = []
    if topology.queue != default.queue:
        words += ["--queue", topology.queue]
    if topology.exchange != REQUESTS:
        words += ["--exchange", topology.exchange]
    if topology.queue_type != default.queue_type:
        words += ["--queue-type", topology.queue_type]
    for option, value in (
        ("--backlog", topology.backlog),
        ("--max-priority", topology.max_priority),
        ("--consumer-timeout", topology.consumer_timeout),
    ):
        if value is not None:
            words += [option, str(value)]
    for name, value in topology.queue_arguments.items():
        words += ["--queue-argument", f"{name}={json.dumps(value, default=str)}"]
    return words
