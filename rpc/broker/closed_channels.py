"""Receivers of frames on channels that are not open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc.broker.protocol_error import ProtocolError
from rpc.reply_codes import CHANNEL_ERROR

if TYPE_CHECKING:
    from rpc.broker.connection import BrokerConnection

_OPEN, _CLOSE_OK = 20 << 16 | 10, 20 << 16 | 41


class ClosedChannel:
    """A channel that is not open: it can be opened, and every other method is an error (504)."""

    def __init__(self, connection: BrokerConnection, number: int) -> None:
        self._connection = connection
        self._number = number

    def method_arrived(self, key: int, *_: object) -> None:
        """Open the channel, or end the connection."""
        if key == _OPEN:
            self._connection.open_channel(self._number)
        elif key != _CLOSE_OK:  # both ends have closed it
            self._refuse(key)

    def content_arrived(self, key: int, *_: object) -> None:
        """End the connection."""
        self._refuse(key)

    def content_too_large(self, size: int) -> None:
        """End the connection."""
        self._refuse(0)

    def _refuse(self, key: int) -> None:
        error = ProtocolError(CHANNEL_ERROR, "expected 'channel.open'")
        error.key = key
        self._connection.close_with_error(error)


class DiscardingChannel:
    """Any channel of a connection that the broker has closed: its frames are discarded (connection.close)."""

    def method_arrived(self, *_: object) -> None:
        """Discard a method."""

    def content_arrived(self, *_: object) -> None:
        """Discard a content."""

    def content_too_large(self, size: int) -> None:
        """Discard the beginning of a content."""
