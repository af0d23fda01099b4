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


def with_sender(copy: Properties, sender: str | None, own: str | None) -> Properties:
    """Return the properties of a copy that says who has sent the original, if that is known.

    :param own: our own user, as the broker knows it: RabbitMQ closes the channel for another name (406).
    """
    headers = {name: value for name, value in (copy.headers or {}).items() if name != CALLER}
    if sender is None or own is None:
        return attrs.evolve(copy, headers=headers or None, user_id=None)
    return attrs.evolve(copy, headers={**headers, CALLER: sender}, user_id=own)


def without_sender(encoded: bytes) -> bytes:
    """Return the encoded properties of a copy that does not say who has sent the original."""
    return encode_properties(with_sender(decode_properties(encoded), None, None))
