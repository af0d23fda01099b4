"""The remedy when the broker refuses a queue as a service declares it. Pure."""

from __future__ import annotations

import json
import shlex
from typing import Any

import attrs

from rpc.errors import DeclarationRefused
from rpc.reply_codes import NOT_FOUND
from rpc.topology import REQUESTS, ServiceTopology
from rpc.worker.queue_options import QueueOptions

DURABLE = "durable"
"""The word for a queue that outlives the broker's restart, in RabbitMQ's text about queues that differ."""


def explanation(topology: ServiceTopology, error: DeclarationRefused) -> str:
    """Return the refusal in words, with the broker's own, which name the queue and the argument that differs."""
    refused = f"{topology.service}: the broker refuses a queue of the service: {error}. "
    if not topology.declare_queue and error.code == NOT_FOUND:
        return f"{refused}With declare_queue=False an operator has to declare the queue {topology.queue}"
    serve = "Serve with the arguments that it has"
    if f"'{DURABLE}'" in error.text and topology.durable:
        refused += "A queue of txamqp.contrib.thrift's servers is shared with durable=False (docs/migrating.md). "
    if (
        not topology.declare_queue or not topology.durable
    ):  # it is the quarantine, or has dead letters; the command would replace all queues
        return f"{refused}{serve}, or delete it when it is empty: the worker declares it anew"
    unwritable = [f"{name}={value!r}" for name, value in topology.queue_arguments.items() if _as_json(value) is None]
    if unwritable:
        return f"{refused}{serve}: thrift-rpc queue migrate cannot be given {', '.join(unwritable)}, which is no JSON"
    command = shlex.join(["thrift-rpc", "queue", "migrate", topology.service, *migration_options(topology)])
    return f"{refused}{serve}, or stop all workers of the service and run: {command}"


def migration_options(topology: ServiceTopology) -> list[str]:
    """Return the words of the command line that stand for the options of a service. All arguments must be JSON."""
    words: list[str] = []
    if topology.queue != ServiceTopology(topology.service).queue:
        words += ["--queue", topology.queue]
    if topology.exchange != REQUESTS:
        words += ["--exchange", topology.exchange]
    default = QueueOptions()
    for option in attrs.fields(QueueOptions):
        value = getattr(topology, option.name)
        if option.name != "queue_arguments" and value != getattr(default, option.name):
            words += [f"--{option.name.replace('_', '-')}", str(value)]
    for name, value in topology.queue_arguments.items():
        words += ["--queue-argument", f"{name}={_as_json(value)}"]
    return words


def _as_json(value: Any) -> str | None:
    """Return a value as the command reads it; ``None``: it is no JSON, such as bytes or a time."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return None
