"""The options of a gateway, checked where they are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs

from rpc.client.options import DEFAULT_TIMEOUT, LONGEST_TIMEOUT, ClientOptions, RawOptions
from rpc.envelope import MAX_MESSAGE_SIZE
from rpc.errors import ConfigurationError
from rpc.keys import Keys, as_keys
from rpc.validators import check_truth, number, whole_number

_seconds = number(0, LONGEST_TIMEOUT, unit=" of seconds")


def _origins(origins: Any) -> frozenset[str]:
    if isinstance(origins, str) or not isinstance(origins, Iterable):
        raise ConfigurationError(f"cors={origins!r}: must be origins, such as ['https://www.example.org']")
    chosen = frozenset(origins)
    for origin in chosen:
        if origin != "*" and ("://" not in origin or origin.endswith("/")):
            raise ConfigurationError(f"cors={origin!r}: must be an origin, such as 'https://www.example.org', or '*'")
    return chosen


def _of_clients(name: str) -> Any:
    """Return a field with the default and the checks that a client's option has."""
    field = attrs.fields_dict(ClientOptions)[name]
    return attrs.field(default=field.default, validator=field.validator, converter=field.converter)


@attrs.frozen
class GatewayOptions:
    """How a gateway serves its clients.

    :ivar timeout: seconds from a request to its deadline. A client may ask for less, see ``docs/gateway.md``.
    :ivar max_message_size: bytes of a message, in both directions.
    :ivar max_connections: clients at once, of all ports together. The gateway closes further ones at once.
    :ivar in_flight: calls of one connection that have no answer yet. With so many, no more requests are read from it.
    :ivar unordered: whether answers are sent as they come. Otherwise they have the order of the requests.
    :ivar idle_timeout: seconds that a connection without a call stays open.
    :ivar transfer_timeout: seconds that a client may take to send a request it has begun, or to read an answer.
    :ivar max_buffered: bytes of requests and answers in memory, of all connections together. The connection that needs
        more is aborted. The same holds for unconfirmed oneway calls, which outlive their connections; a further one is
        refused.
    :ivar drain_timeout: seconds that calls in progress have to finish when the gateway stops.
    :ivar cors: origins of web pages that may call by HTTP, such as ``https://www.example.org``; ``*``: all.
    :ivar queue: as for clients. A queue belongs to one service.
    :ivar retry, idempotent, liveness, priority, headers, exchange, reply_exchange, uncorrelated_replies, user_id,
        app_id, keys: as for clients, for all calls: see :class:`~rpc.client.options.ClientOptions`.
    :raises ConfigurationError: an option has a wrong value.
    """

    timeout: float = attrs.field(default=DEFAULT_TIMEOUT, validator=_seconds)
    max_message_size: int = attrs.field(default=MAX_MESSAGE_SIZE, validator=whole_number(1, 2**30))
    max_connections: int = attrs.field(default=1000, validator=whole_number(1))
    in_flight: int = attrs.field(default=100, validator=whole_number(1))
    unordered: bool = attrs.field(default=False, validator=check_truth)
    idle_timeout: float = attrs.field(default=600.0, validator=_seconds)
    transfer_timeout: float = attrs.field(default=60.0, validator=_seconds)
    max_buffered: int = attrs.field(default=512 * 1024 * 1024, validator=whole_number(1))
    drain_timeout: float = attrs.field(default=30.0, validator=_seconds)
    cors: frozenset[str] = attrs.field(default=frozenset(), converter=_origins)
    retry: bool = _of_clients("retry")
    idempotent: Iterable[str] | None = _of_clients("idempotent")
    liveness: float | None = _of_clients("liveness")
    priority: int | None = _of_clients("priority")
    headers: Mapping[str, Any] | None = _of_clients("headers")
    exchange: str = _of_clients("exchange")
    queue: str | None = _of_clients("queue")
    reply_exchange: str | None = _of_clients("reply_exchange")
    uncorrelated_replies: bool = _of_clients("uncorrelated_replies")
    user_id: bool | str = _of_clients("user_id")
    app_id: str | None = _of_clients("app_id")
    keys: Keys | None = attrs.field(default=None, converter=as_keys)

    def of_calls(self, protocol: str) -> RawOptions:
        """Return the options of the calls in a protocol."""
        mine, clients = attrs.fields_dict(GatewayOptions), attrs.fields_dict(ClientOptions)
        chosen = {name: getattr(self, name) for name in clients if name in mine}
        return cast(RawOptions, {**chosen, "protocol": protocol})
