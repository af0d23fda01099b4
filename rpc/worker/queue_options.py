"""The options of a service that become arguments of its queues, and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs.validators import optional

from rpc.amqp.codec.fields import encode_table
from rpc.errors import CodecError, ConfigurationError
from rpc.topology import CONSUMER_TIMEOUT
from rpc.validators import one_of, whole_number

QUORUM = "quorum"
QUEUE_TYPES = ("classic", QUORUM)

HIGHEST_PRIORITY = 255
"""RabbitMQ's bound (its documentation, "Classic Queues Support Priorities")."""

LEAST_CONSUMER_TIMEOUT, MOST_CONSUMER_TIMEOUT = 1.0, 2**32 / 1000 - 1
"""Seconds."""

OWN_OPTIONS = {
    "x-queue-type": "queue_type",
    "x-max-length": "backlog",
    "x-max-priority": "max_priority",
    CONSUMER_TIMEOUT: "consumer_timeout",
}
"""Arguments of queues that are options of their own."""

LOSSLESS_OVERFLOWS = ("reject-publish", "reject-publish-dlx")
"""The values of ``x-overflow`` with which a publisher learns that its message is not in the queue."""

LOSSY = ("x-overflow", "x-message-ttl", "x-expires")
"""Arguments by which the broker drops messages that it has confirmed (RabbitMQ documentation, "Queue Length Limit" and
"Time-To-Live and Expiration"). The caller of a oneway method would not learn of it.
"""


def _check_timeout(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (number and LEAST_CONSUMER_TIMEOUT <= value <= MOST_CONSUMER_TIMEOUT):
        allowed = f"{LEAST_CONSUMER_TIMEOUT:g} to {MOST_CONSUMER_TIMEOUT:.0f}"
        raise ConfigurationError(f"{attribute.name}={value!r}: must be a number of seconds, {allowed}")


def _check_arguments(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Check that the broker can read the table. The broker checks its entries."""
    given = f"{attribute.name}={value!r}"
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{given}: must be a dict of arguments by name, such as x-max-length-bytes")
    for name in value:
        if name in OWN_OPTIONS:
            raise ConfigurationError(f"{given}: must be without {name}: give {OWN_OPTIONS[name]}= instead")
        if name in LOSSY and not (name == "x-overflow" and value[name] in LOSSLESS_OVERFLOWS):
            raise ConfigurationError(
                f"{given}: must be without {name}={value[name]!r}: the broker would lose requests that it has confirmed"
            )
    try:
        encode_table(value)
    except CodecError as error:
        raise ConfigurationError(f"{given}: must be values of an AMQP table: {error}") from error


@attrs.frozen(eq=False, kw_only=True)
class QueueOptions:
    """The options. :class:`~rpc.worker.service.ThriftService` describes them.

    :raises ConfigurationError: an option has a wrong value, or two do not go together.
    """

    queue_type: str = attrs.field(default="classic", validator=one_of(*QUEUE_TYPES))
    backlog: int | None = attrs.field(default=None, validator=optional(whole_number(1)))
    consumer_timeout: float | None = attrs.field(default=None, validator=_check_timeout)
    max_priority: int | None = attrs.field(default=None, validator=optional(whole_number(1, HIGHEST_PRIORITY)))
    queue_arguments: Mapping[str, Any] = attrs.field(factory=dict, validator=_check_arguments)

    def __attrs_post_init__(self) -> None:
        if self.max_priority is not None and self.queue_type == QUORUM:
            raise ConfigurationError(
                f"max_priority={self.max_priority!r}: must be left out with queue_type='quorum': RabbitMQ has it for "
                "classic queues only. Quorum queues have two priorities of their own from RabbitMQ 4.0 on"
            )
