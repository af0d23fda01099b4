"""The parameters of a broker's URI: RabbitMQ's URI query parameters, and some of our own. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from rpc.errors import InvalidURI

SMALLEST_FRAME_MAX = 4096

PLAIN_REFUSED = "{} refuses the scheme amqp, which sends password and calls without encryption: write amqps"


def read_parameters(query: str, tls: bool) -> dict[str, Any]:
    """Return the values of a :class:`~rpc.uri.BrokerURI` that the query has.

    :param tls: the URI's scheme is ``amqps``.
    :raises InvalidURI: an unknown, repeated or unfitting parameter, or a wrong value.
    """
    values: dict[str, Any] = {}
    for part in query.split("&") if query else ():
        name, _, text = part.partition("=")
        read = _READERS.get(name)
        if read is None:
            raise InvalidURI(f"{_unknown(name)}: write one of {', '.join(_READERS)}")
        if name in values:
            raise InvalidURI(f"parameter {name} is given twice")
        if name in _TLS_ONLY and not tls:
            raise InvalidURI(f"parameter {name} is for TLS: it needs the scheme amqps")
        values[name] = read(name, decoded(text, f"parameter {name}"))
    for name in ("keyfile", "keyfile_password"):
        if name in values and "certfile" not in values:
            raise InvalidURI(f"parameter {name} needs certfile, the certificate of the key")
    if "ciphers" in values and values.get("tls_minimum") == "1.3":
        raise InvalidURI("parameter ciphers is for TLS 1.2, which tls_minimum=1.3 excludes: leave one of them out")
    if values.pop("tls", None) == "required" and not tls:
        raise InvalidURI(PLAIN_REFUSED.format("tls=required"))
    return values


def _unknown(name: str) -> str:
    """Name an unknown parameter if it resembles a known one. Otherwise it may be part of a password with a '?'."""
    return f"unknown parameter {name!r}" if difflib.get_close_matches(name, _READERS) else "an unknown parameter"


def _number(smallest: int, largest: int, zero: bool = True) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        if re.fullmatch(r"[0-9]{1,10}", text):
            number = int(text)
            if smallest <= number <= largest or (zero and number == 0):
                return number
        either = "0 or " if zero and smallest > 0 else ""
        raise InvalidURI(f"{name}={text[:40]} is not {either}a number from {smallest} to {largest}")

    return read


def _milliseconds(name: str, text: str) -> float:
    return _number(1, 2**31 - 1, zero=False)(name, text) / 1000


def _choice(choices: dict[str, Any]) -> Callable[[str, str], Any]:
    def read(name: str, text: str) -> Any:
        try:
            return choices[text.lower()]
        except KeyError:
            raise InvalidURI(f"{name}={text[:40]} is not one of {', '.join(choices)}") from None

    return read


def _text(name: str, text: str) -> str:
    if not text or "\0" in text:
        raise InvalidURI(f"parameter {name} has no value")
    return text


def _password_reference(name: str, text: str) -> str:
    if not re.fullmatch(r"(env|file):[^\0]+", text):  # not quoted: it may be the password
        raise InvalidURI(f"parameter {name} names the place of the password: write env:NAME or file:PATH")
    return text


_READERS: dict[str, Callable[[str, str], Any]] = {
    "heartbeat": _number(0, 65535),
    "connection_timeout": _milliseconds,
    "channel_max": _number(0, 65535),
    "frame_max": _number(SMALLEST_FRAME_MAX, 2**32 - 1),
    "send_buffer_max": _number(131072, 2**33),
    "auth_mechanism": _choice({"plain": "PLAIN", "external": "EXTERNAL"}),
    "cacertfile": _text,
    "certfile": _text,
    "keyfile": _text,
    "keyfile_password": _password_reference,
    "verify": _choice({"verify_peer": True, "verify_none": False}),
    "server_name_indication": _text,
    "password_file": _text,
    "password_env": _text,
    "tls": _choice({"required": "required"}),
    "tls_minimum": _choice({"1.2": "1.2", "1.3": "1.3"}),
    "ciphers": _text,
}
_TLS_ONLY = (
    "cacertfile",
    "certfile",
    "keyfile",
    "keyfile_password",
    "verify",
    "server_name_indication",
    "tls_minimum",
    "ciphers",
)


def decoded(text: str, what: str) -> str:
    """Return percent-decoded text. The error does not quote it, because it may be the password."""
    try:
        if re.search(r"%(?![0-9A-Fa-f]{2})", text):
            raise ValueError
        return unquote(text, errors="strict")
    except ValueError:
        raise InvalidURI(f"the {what} is not percent-encoded UTF-8: write a % itself as %25") from None
