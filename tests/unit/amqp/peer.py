"""The broker's end of a connection in memory: frames to feed, and the client's frames, decoded."""

from __future__ import annotations

import struct
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from rpc.amqp.channel import Channel
from rpc.amqp.codec.methods import decode_method, encode_arguments
from rpc.amqp.codec.spec import load_spec
from rpc.amqp.delegate import Credentials
from rpc.amqp.protocol import AMQPConnection

METHOD, HEADER, BODY = 1, 2, 3
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Return a frame (AMQP 0-9-1, section 4.2.3)."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel: int, name: str, *args: Any) -> bytes:
    """Return a method frame: ``method(1, "basic.ack", 7, False)``."""
    return frame(METHOD, channel, encode_arguments(load_spec().parse_method(name), args))


def content(channel: int, body: bytes, *, properties: bytes = b"\x00\x00", largest: int = 4088) -> list[bytes]:
    """Return the header and body frames of a message."""
    pieces = [body[start : start + largest] for start in range(0, len(body), largest)]
    header = frame(HEADER, channel, struct.pack(">HHQ", 60, 0, len(body)) + properties)
    return [header, *(frame(BODY, channel, piece) for piece in pieces)]


def delivery(channel: int, consumer_tag: str, delivery_tag: int, body: bytes, **more: Any) -> bytes:
    """Return a whole basic.deliver."""
    begin = method(channel, "basic.deliver", consumer_tag, delivery_tag, False, "exchange", "key")
    return begin + b"".join(content(channel, body, **more))


def returned(channel: int, body: bytes, **more: Any) -> bytes:
    """Return a whole basic.return."""
    begin = method(channel, "basic.return", 312, "NO_ROUTE", "exchange", "key")
    return begin + b"".join(content(channel, body, **more))


@attrs.frozen
class Written:
    """A frame that the client wrote; for methods with name and arguments."""

    kind: int
    channel: int
    payload: bytes
    name: str = ""
    args: tuple[Any, ...] = ()


def read_frames(data: bytes) -> list[Written]:
    """Return the frames in `data`, which must be whole."""
    found = []
    while data:
        kind, channel, size = struct.unpack_from(">BHI", data)
        payload, end = data[7 : 7 + size], data[7 + size]
        assert end == 0xCE, data
        if kind == METHOD:
            called, args = decode_method(load_spec(), payload)
            found.append(Written(kind, channel, payload, f"{called.klass.name}.{called.name}", args))
        else:
            found.append(Written(kind, channel, payload))
        data = data[8 + size :]
    return found


def outcome_of(deferred: Deferred[Any]) -> list[Any]:
    """Return a list that gets the Deferred's result when it fires: a value, or the exception."""
    fired: list[Any] = []
    deferred.addCallbacks(fired.append, lambda failure: fired.append(failure.value))
    return fired


def raises(*args: object) -> None:
    """Raise, as a callback with an error does."""
    raise ZeroDivisionError


START = method(0, "connection.start", 0, 9, {"product": "RabbitMQ"}, b"PLAIN AMQPLAIN EXTERNAL", b"en_US")
OPEN_OK = method(0, "connection.open-ok", "")


def tune(channel_max: int = 2047, frame_max: int = 131072, heartbeat: int = 60) -> bytes:
    """Return the broker's proposal."""
    return method(0, "connection.tune", channel_max, frame_max, heartbeat)


class Peer:
    """A client connection on a transport in memory, with the broker's part played by the test.

    :ivar outcome: the result of ``ready``: the connection or a Failure; ``None`` before.
    """

    def __init__(self, credentials: Credentials | None = None, vhost: str = "/", **options: Any) -> None:
        options = {"heartbeat": 0, **options}
        self.clock = Clock()
        self.transport = StringTransport()
        self.connection = AMQPConnection(self.clock, credentials or Credentials(), vhost, **options)
        self.outcome: Any = None
        self.connection.ready.addBoth(self._note)

    def _note(self, outcome: Any) -> None:
        self.outcome = outcome

    def connect(self) -> Peer:
        """Connect; the broker has sent nothing yet."""
        self.connection.makeConnection(self.transport)
        return self

    def open(self, **limits: int) -> Peer:
        """Connect and play the broker's part of the handshake; drop the client's frames."""
        self.connect().feed(START, tune(**limits), OPEN_OK)
        assert self.outcome is self.connection, self.outcome
        self.transport.clear()
        return self

    def feed(self, *chunks: bytes) -> None:
        """Let the connection receive each chunk."""
        for chunk in chunks:
            self.connection.dataReceived(chunk)

    def written(self) -> list[Written]:
        """Return the frames written since the last call."""
        data = self.transport.value()
        self.transport.clear()
        return read_frames(data)

    def names(self) -> list[str]:
        """Return the names of the methods written since the last call."""
        return [frame.name for frame in self.written()]

    def channel(self) -> Channel:
        """Open a channel."""
        opened: list[Any] = []
        self.connection.open_channel().addBoth(opened.append)
        (asked,) = self.written()
        assert asked.name == "channel.open", asked
        self.feed(method(asked.channel, "channel.open-ok", b""))
        channel = opened[0]
        assert isinstance(channel, Channel), channel
        return channel

    def lose(self) -> None:
        """Lose the socket."""
        self.connection.connectionLost(Failure(ConnectionDone()))

    @property
    def reason(self) -> Any:
        """Why the connection is closed."""
        return self.connection.reason

    @property
    def aborted(self) -> bool:
        """Whether the client aborted the connection."""
        return bool(self.transport.disconnected)

    @property
    def leaving(self) -> bool:
        """Whether the client asked for the socket to be closed, in order or by force."""
        return bool(self.transport.disconnecting)
