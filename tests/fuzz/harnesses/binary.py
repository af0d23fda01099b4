"""Thrift messages in the binary protocol."""

from __future__ import annotations

from tests.fuzz.messages import check_message, messages


def one(data: bytes) -> None:
    """Bytes are a message or a MalformedMessage; its arguments are the same in each protocol that they are sent in."""
    check_message("binary", data)


def seeds() -> dict[str, bytes]:
    """Return calls with values of all types."""
    return messages("binary")
