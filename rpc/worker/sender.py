"""The user that has sent a request, also when the request is a copy.

The broker verifies the user id of each message: RabbitMQ refuses any other than that of the user that publishes. So a
copy cannot have the user id of the original. It has its publisher's, and the original's in a header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from rpc.amqp.codec.properties import decode_properties, encode_properties
from rpc.headers import CALLER
from rpc.messages import Properties


def sender_of(user_id: str | None, headers: Mapping[str, Any], own: str | None) -> str | None:
    """Return the user that has sent a request; ``None`` when it names none.

    :param own: our own user. The header is believed only beside it, as every peer can write the header.
    """
    caller = headers.get(CALLER)
    return caller if user_id is not None and user_id == own and isinstance(caller, str) else user_id


def name_sender(headers: Mapping[str, Any], sender: str | None, own: str | None) -> tuple[dict[str, Any], str | None]:
    """Return the headers and the user id of a copy that names the sender of the original, if it is known.

    :param headers: those of the original.
    :param own: our own user, as the broker knows it: RabbitMQ closes the channel for another name (406).
    """
    kept = {name: value for name, value in headers.items() if name != CALLER}
    if sender is None or own is None:
        return kept, None
    return {**kept, CALLER: sender}, own


def with_sender(copy: Properties, sender: str | None, own: str | None) -> Properties:
    """Return the properties of a copy that names the sender of the original; see :func:`name_sender`."""
    headers, user = name_sender(copy.headers or {}, sender, own)
    return attrs.evolve(copy, headers=headers or None, user_id=user)


def without_sender(encoded: bytes) -> bytes:
    """Return the encoded properties of a copy that does not name the sender of the original."""
    return encode_properties(with_sender(decode_properties(encoded), None, None))
