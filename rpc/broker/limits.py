"""What one broker takes: bounds that keep a peer from filling the process, and the account of what it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

MEGABYTE: Final = 1024 * 1024

OUTGOING_BEFORE_PAUSE: Final = 65536
"""Bytes that wait for a slow reader before nothing more is delivered to it: what Twisted's transports keep as well."""

DEAD_LETTERS_AT_ONCE: Final = 100
"""Dead letters that one turn publishes; the next ones are left to turns of their own, for each may lead to many."""

OUTGOING_AT_MOST: Final = 8 * MEGABYTE
"""Bytes that wait for a reader who takes none, but goes on asking, before it is heard no more."""


@attrs.frozen
class Limits:
    """Bounds of one broker.

    :ivar memory: bytes of messages held; above, publishers are blocked (RabbitMQ extension: ``connection.blocked``),
        and above twice as much, dead letters are lost, and contents that are not complete end their connections (506).
    :ivar message: bytes of one message's body, as RabbitMQ's ``max_message_size``: 16 MiB, its default since 4.0.
    :ivar contents: bytes of contents that one connection has begun and not finished, in all its channels.
    :ivar connections: connections at a time; more are closed at once.
    :ivar channels: channels of a connection, as RabbitMQ's ``channel_max``.
    :ivar frame: bytes of a frame, as RabbitMQ's ``frame_max``.
    :ivar heartbeat: seconds to propose.
    :ivar handshake: seconds from a connection's begin to its open virtual host.
    """

    memory: int = 256 * MEGABYTE
    message: int = 16 * MEGABYTE
    contents: int = 64 * MEGABYTE
    connections: int = 4096
    channels: int = 2047
    frame: int = 131072
    heartbeat: int = 60
    handshake: float = 10.0


class Memory:
    """The account of the messages that are held.

    :ivar held: bytes in queues and in the hands of consumers, what is kept beside each message counted.
    :ivar alarm: whether publishers are to be blocked.
    """

    __slots__ = ("_on_change", "_operator", "alarm", "held", "limit")

    def __init__(self, limit: int, on_change: Callable[[bool], None]) -> None:
        """:param on_change: called with the alarm when it begins and ends."""
        self.held = 0
        self.limit = limit
        self.alarm = False
        self._operator = False
        self._on_change = on_change

    def take(self, size: int) -> None:
        """Count bytes that are kept from now on."""
        self.held += size
        if self.held > self.limit and not self.alarm:
            self._look()

    def release(self, size: int) -> None:
        """Count bytes that are kept no more."""
        self.held -= size
        if self.alarm:
            self._look()

    @property
    def exhausted(self) -> bool:
        """Whether even twice the limit is held: then nothing is taken that could still come, blocked or not."""
        return self.held > 2 * self.limit

    def set_alarm(self, on: bool) -> None:
        """Have publishers blocked whatever is held, as an operator does; or no more."""
        self._operator = on
        self._look()

    def _look(self) -> None:
        alarm = self._operator or self.held > self.limit
        if alarm is not self.alarm:
            self.alarm = alarm
            self._on_change(alarm)
