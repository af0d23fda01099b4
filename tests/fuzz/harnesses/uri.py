"""Broker URIs."""

from __future__ import annotations

import re

from rpc.errors import InvalidURI
from rpc.uri import hide_logins, parse

SECRET = "s%C3%A9cret-0f9d"
"""Put in the place of the first ``PASS`` of an input."""

PLAIN_SECRET = "sécret-0f9d"  # the promise is about it

_LOGIN = re.compile(r"(?i)amqps?://[^:/?#@]*:PASS@")


def one(data: bytes) -> None:
    """Text is a URI or an InvalidURI; a URI reads the same when printed; no message and no text has the password."""
    text = data.decode("utf-8", "surrogateescape")
    has_password = _LOGIN.match(text) is not None and text.count("PASS") == 1
    text = text.replace("PASS", SECRET, 1)
    if has_password:
        check_hidden(hide_logins(f"cannot connect to {text} now"))
    try:
        uri = parse(text)
    except InvalidURI as error:
        if has_password:
            check_hidden(str(error))
        return
    if has_password:
        assert uri.password == PLAIN_SECRET
        check_hidden(f"{uri} {uri!r}")
    printed = parse(str(uri))
    for name in ("tls", "hosts", "username", "vhost"):
        assert getattr(printed, name) == getattr(uri, name), name


def check_hidden(text: str) -> None:
    """Check that a text does not contain the password."""
    assert SECRET not in text, text
    assert PLAIN_SECRET not in text, text


def seeds() -> dict[str, bytes]:
    """Return URIs with all parts and parameters, and some mistakes."""
    texts = {
        "short": "amqp://host",
        "whole": "amqp://user:PASS@host1,host2:5673,[::1]:5674/vhost?heartbeat=10&connection_timeout=5000",
        "encoded": "amqp://us%40er:p%2Fw@h%C3%A9/%2F",
        "tls": "amqps://u:PASS@host?cacertfile=/ca.pem&certfile=/c.pem&keyfile=/k.pem&verify=verify_none&tls_minimum=1.2",
        "more-tls": "amqps://host?auth_mechanism=external&server_name_indication=name&ciphers=ECDHE&tls=required",
        "numbers": "amqp://host?channel_max=0&frame_max=4096&send_buffer_max=131072&heartbeat=0",
        "password-file": "amqp://u@host?password_file=/secret",
        "password-variable": "amqp://u@host?password_env=SECRET",
        "key-password": "amqps://host?certfile=/c&keyfile_password=env:KEY",
        "without-host": "amqp://guest:PASS",
        "two-signs": "amqp://u:PASS@word@host",
        "bad-percent": "amqp://u:PASS%zz@host",
        "not-utf8": "amqp://u:%ff@host",
    }
    return {name: text.encode() for name, text in texts.items()}
