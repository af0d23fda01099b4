"""The options of a client, checked where they are given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict, cast

import attrs
from attrs.validators import optional

from rpc.amqp.codec.headers import encode_headers
from rpc.envelope import CODECS, MAX_ELEMENTS, MAX_MESSAGE_SIZE, REFUSE, REPLACE
from rpc.errors import CodecError, ConfigurationError
from rpc.headers import SHORTEST_LIVENESS
from rpc.interceptors import client_interceptors
from rpc.keys import Keys, as_keys
from rpc.signing import check_signable
from rpc.topology import REQUESTS
from rpc.validators import check_truth, number, one_of, text, whole_number

DEFAULT_TIMEOUT = 30.0

LONGEST_TIMEOUT = 1e9
"""Seconds, some 31 years; with more, rounding loses the hundredths of the clock."""

_seconds = number(0, LONGEST_TIMEOUT, unit=" of seconds")


def _check_liveness(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and value < SHORTEST_LIVENESS:
        raise ConfigurationError(f"{attribute.name}={value!r}: must be at least {SHORTEST_LIVENESS}")


def _copy_headers(headers: Any) -> dict[str, Any] | None:
    """Return a copy of headers that can be sent: later changes of the caller's mapping have no effect."""
    if headers is None:
        return None
    try:
        encode_headers(headers)
    except CodecError as error:
        raise ConfigurationError(
            f"headers={headers!r}: must be a mapping of texts to values that AMQP has: {error}"
        ) from error
    return dict(headers)


_check_name = text(255)


def _check_queue(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value == "":  # AMQP's name for the last queue that was declared (AMQP 0-9-1, queue.declare)
        raise ConfigurationError(f"{attribute.name}='': must be the name of a queue")
    if value is not None:
        _check_name(_, attribute, value)


def _check_user(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, (bool, str)) or value == "":
        raise ConfigurationError(f"{attribute.name}={value!r}: must be True, False or the name of a user")
    if isinstance(value, str):
        _check_name(_, attribute, value)


def _check_reply_exchange(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value == "":  # each queue is bound to the default exchange, and cannot be bound again (AMQP 0-9-1, 3.1.3.1)
        raise ConfigurationError(f"{attribute.name}={value!r}: must be a name, or left out for the default exchange")


def _names(methods: Any) -> frozenset[str] | None:
    if methods is None:
        return None
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise ConfigurationError(f"idempotent={methods!r}: must be the names of methods, such as ['{methods}']")
    return frozenset(methods)


class RawOptions(TypedDict, total=False):
    """The options of calls without a stub, for type checkers; :class:`ClientOptions` documents them."""

    timeout: float | None
    retry: bool
    idempotent: Iterable[str] | None
    liveness: float | None
    protocol: str
    priority: int | None
    headers: Mapping[str, Any] | None
    exchange: str
    queue: str | None
    reply_exchange: str | None
    max_message_size: int
    max_elements: int
    uncorrelated_replies: bool
    user_id: bool | str
    app_id: str | None
    interceptors: Iterable[Any]
    keys: Keys | str | os.PathLike[str] | None


class Options(RawOptions, total=False):
    """All options of clients, for type checkers."""

    name: str | None
    invalid_utf8: str


@attrs.frozen
class ClientOptions:
    """How a client calls.

    :ivar timeout: seconds from the call to its deadline; default: the method's ``timeout_ms`` in the IDL, or 30.
    :ivar retry: whether a rejected call (``ServiceUnavailable``, ``Overloaded``, ``BrokerBlocked``) is repeated, within
        its deadline.
    :ivar idempotent: names of the methods that may be run twice: their calls are made again when they may have been
        executed (``ConnectionLost``, ``WorkerLost``). Default: the methods that the IDL marks as ``idempotent``.
    :ivar liveness: seconds. A worker that has begun a call sends keepalives. If none comes for this time, the call
        fails (``WorkerLost``). Default: no keepalives are requested.
    :ivar protocol: ``"binary"``, ``"compact"`` or ``"json"``.
    :ivar invalid_utf8: how bytes of a ``string`` in a reply that are not UTF-8 are treated: ``"refuse"`` the reply
        (``InvalidReply``), or ``"replace"`` them by U+FFFD.
    :ivar priority: 0 to 255, for queues with ``x-max-priority``.
    :ivar headers: metadata of every call, AMQP field-table values by name; at most 500 values, those in tables and
        arrays counted.
    :ivar name: the service's name when it differs from the stub's; ``<service>@<instance>`` reaches one worker.
    :ivar exchange: where requests are published; ``"rpc.broadcast"`` reaches every worker, and the first reply counts.
    :ivar queue: the request queue of a service with ``queue=``: shortly before a deadline the broker is asked whether a
        worker consumes it. Default: ``rpc.<service>`` with the default exchange, otherwise none.
    :ivar reply_exchange: the exchange that replies are published to, for servers that do not reply by the default
        exchange, such as those of ``txamqp.contrib.thrift``. The reply queue is bound to it by its name. The exchange
        is declared when it does not exist: direct and not durable.
    :ivar max_message_size: bytes of a body. A larger request is not sent (``MessageTooLarge``), and a larger reply is
        refused (``InvalidReply``).
    :ivar max_elements: the cost of decoding a reply, at most: a reply with more is refused (``InvalidReply``). A number
        counts as one element; ``docs/security.md`` has the others.
    :ivar uncorrelated_replies: whether replies without a correlation id are accepted, as servers of
        ``txamqp.contrib.thrift`` send them. Only the seqid tells their calls. Every worker that this connection calls
        can guess it, and so answer in the place of another.
    :ivar user_id: ``True``: each request names the connection's user, and the worker knows its caller. A text: this
        name, when it is not the one in the broker's URL. The broker verifies it: RabbitMQ closes the channel when it is
        not the user that has logged in (406; RabbitMQ documentation, "Validated User-ID").
    :ivar app_id: a name for this program, which the handler sees. Nothing verifies it.
    :ivar interceptors: objects that provide :class:`rpc.IClientInterceptor`; those of the connection come before them.
    :ivar keys: the path of a file of keys, or a :class:`rpc.Keys`: requests are signed, and so must replies be.
    :raises ConfigurationError: an option has a wrong value.
    """

    timeout: float | None = attrs.field(default=None, validator=optional(_seconds))
    retry: bool = attrs.field(default=False, validator=check_truth)
    idempotent: frozenset[str] | None = attrs.field(default=None, converter=_names)
    liveness: float | None = attrs.field(default=None, validator=[optional(_seconds), _check_liveness])
    protocol: str = attrs.field(default="binary", validator=one_of(*CODECS))
    invalid_utf8: str = attrs.field(default=REFUSE, validator=one_of(REFUSE, REPLACE))
    priority: int | None = attrs.field(default=None, validator=optional(whole_number(0, 255)))
    headers: Mapping[str, Any] | None = attrs.field(default=None, converter=_copy_headers)
    name: str | None = attrs.field(default=None, validator=optional(text(255)))
    exchange: str = attrs.field(default=REQUESTS, validator=text(255))
    queue: str | None = attrs.field(default=None, validator=_check_queue)
    reply_exchange: str | None = attrs.field(default=None, validator=[optional(text(255)), _check_reply_exchange])
    max_message_size: int = attrs.field(default=MAX_MESSAGE_SIZE, validator=whole_number(1))
    max_elements: int = attrs.field(default=MAX_ELEMENTS, validator=whole_number(1))
    uncorrelated_replies: bool = attrs.field(default=False, validator=check_truth)
    user_id: bool | str = attrs.field(default=False, validator=_check_user)
    app_id: str | None = attrs.field(default=None, validator=optional(text(255)))
    interceptors: tuple[Any, ...] = attrs.field(default=(), converter=client_interceptors)
    keys: Keys | None = attrs.field(default=None, converter=as_keys)

    def __attrs_post_init__(self) -> None:
        if self.keys is not None and self.headers:
            try:
                check_signable(self.headers)
            except CodecError as error:
                raise ConfigurationError(f"headers={self.headers!r}, with keys=: {error}") from error

    def changed(self, options: Options) -> ClientOptions:
        """Return these options with some of them changed.

        :raises TypeError: an option is unknown.
        :raises ConfigurationError: an option has a wrong value.
        """
        known = [field.name for field in attrs.fields(ClientOptions)]
        for name in options:
            if name not in known:
                raise TypeError(f"unknown option {name!r}; the options of a client: {', '.join(known)}")
        return attrs.evolve(self, **options)


DEFAULT_OPTIONS = ClientOptions()

NOT_RAW: Final = {
    "name": "the service is an argument",
    "invalid_utf8": "the text in a reply is not read",
}
"""The options that calls without a stub do not have, and why."""


def raw_options(service: str, options: RawOptions) -> ClientOptions:
    """Return the options of calls of a service without a stub.

    :raises TypeError: an option is unknown, or one of :data:`NOT_RAW`.
    :raises ConfigurationError: an option has a wrong value.
    """
    for name, why in NOT_RAW.items():
        if name in options:
            raise TypeError(f"calls without a stub have no option {name!r}: {why}")
    return DEFAULT_OPTIONS.changed(cast(Options, {**options, "name": service}))
