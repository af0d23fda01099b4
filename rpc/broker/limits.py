"""Bounds of one broker: they keep a peer from filling the process."""

from __future__ import annotations

from typing import Final

import attrs

MEGABYTE: Final = 1024 * 1024

MAX_GATHERED: Final = 65536
"""Bytes gathered for a client before deliveries to it stop: the buffer of Twisted's transports."""

DEAD_LETTERS_PER_PASS: Final = 100
"""Dead letters that one pass publishes. The others get passes of their own: each may cause many more."""

MAX_UNREAD: Final = 8 * MEGABYTE
"""Unread bytes of a client that goes on sending requests, before its input is paused."""


@attrs.frozen
class Limits:
    """Bounds of one broker.

    :ivar memory: bytes of messages held; above, publishers are blocked (RabbitMQ extension: ``connection.blocked``),
        and above twice as much, dead letters are lost, and contents that are not complete end their connections (506).
    :ivar definitions: bytes of channels, exchanges, queues, bindings and consumers, with their names and arguments, of
        all connections; above, further ones are refused (406). RabbitMQ limits their numbers instead.
    :ivar message: bytes of one message's body, as RabbitMQ's ``max_message_size``: 16 MiB, its default since 4.0.
    :ivar contents: bytes of contents that one connection has begun and not finished, in all its channels.
    :ivar connections: connections at a time; more are closed at once.
    :ivar channels: channels of a connection, as RabbitMQ's ``channel_max``.
    :ivar frame: bytes of a frame, as RabbitMQ's ``frame_max``.
    :ivar heartbeat: seconds to propose.
    :ivar handshake: seconds from a connection's begin to its open virtual host.
    """

    memory: int = 256 * MEGABYTE
    definitions: int = 32 * MEGABYTE
    message: int = 16 * MEGABYTE
    contents: int = 64 * MEGABYTE
    connections: int = 4096
    channels: int = 2047
    frame: int = 131072
    heartbeat: int = 60
    handshake: float = 10.0
