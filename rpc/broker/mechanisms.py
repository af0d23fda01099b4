"""How a client logs in: the SASL mechanisms of the broker, each with the reading of its response. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rpc.amqp.codec.fields import decode_table
from rpc.errors import CodecError

NO_LOGIN: Final = ("", "")
"""User and password of a response that cannot be read: no user has this name."""


def _plain(response: bytes) -> tuple[str, str]:
    """Read a response of PLAIN (RFC 4616)."""
    parts = response.decode("utf-8", "surrogateescape").split("\0")
    return (parts[1], parts[2]) if len(parts) == 3 else NO_LOGIN


def _amqplain(response: bytes) -> tuple[str, str]:
    """Read a response of AMQPLAIN, the default of txAMQP's clients: the fields of a table, without its size (RabbitMQ
    documentation, "Authentication Mechanisms").
    """
    try:
        fields, _ = decode_table(len(response).to_bytes(4, "big") + response, 0)
    except CodecError:
        return NO_LOGIN
    return _text(fields.get("LOGIN")), _text(fields.get("PASSWORD"))


def _text(value: Any) -> str:
    """Return a string field as text, also one that is not UTF-8. Another type stands for no user and no password."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else ""


MECHANISMS: Final[Mapping[str, Callable[[bytes], tuple[str, str]]]] = {"PLAIN": _plain, "AMQPLAIN": _amqplain}
"""By name: reads user and password from a response."""
