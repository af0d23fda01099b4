"""Values that pass between the layers: the properties of messages. No behaviour, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class Properties:
    """The properties of a message (AMQP 0-9-1, class basic). ``None`` is absent.

    Short strings are ``str`` decoded with ``surrogateescape``, so that any bytes survive a round trip.

    :ivar expiration: milliseconds, as decimal digits: the broker's own form.
    :ivar timestamp: seconds since the epoch.
    """

    content_type: str | None = None
    content_encoding: str | None = None
    headers: Mapping[str, Any] | None = None
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: int | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    cluster_id: str | None = None
