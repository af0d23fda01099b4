"""A client of the embedded broker in memory: bytes to feed, and the broker's output as frames.

The broker runs on a ``Clock``. Each client has a transport with the behaviour of a socket's: it pauses its producer
when its buffer is full, and resumes it when the buffer is empty.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from rpc.amqp.codec.frames import PROTOCOL_HEADER
from rpc.amqp.codec.properties import encode_properties
from rpc.broker.broker import Broker
from rpc.messages import Properties
from tests.unit.amqp.peer import Written, content, method, read_frames

CAPABILITIES = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "publisher_confirms": True,
}
FRAME_MAX = 131072
BUFFER = 65536
"""Bytes in the buffer of a transport before it pauses its producer."""


def new_broker(**options: Any) -> Broker:
    """A broker whose clock is a ``Clock`` that the test advances."""
    return Broker(Clock(), **options)


def start_ok(user: str = "guest", password: str = "guest", capabilities: dict[str, Any] = CAPABILITIES) -> bytes:
    """The login."""
    return method(
        0, "connection.start-ok", {"capabilities": capabilities}, "PLAIN", f"\0{user}\0{password}".encode(), "en_US"
    )


def publish(
    channel: int,
    exchange: str,
    routing_key: str,
    body: bytes = b"",
    *,
    properties: Properties | bytes = b"\x00\x00",
    mandatory: bool = False,
    largest: int = FRAME_MAX - 8,
) -> bytes:
    """A whole basic.publish; `largest` is of a frame's payload."""
    encoded = properties if isinstance(properties, bytes) else encode_properties(properties)
    begin = method(channel, "basic.publish", 0, exchange, routing_key, mandatory, False)
    return begin + b"".join(content(channel, body, properties=encoded, largest=largest))


class Wire(StringTransport):
    """A transport with the behaviour of a socket's.

    :ivar waiting: written bytes that the client has not read.
    :ivar reads: whether the client reads.
    """

    def __init__(self, host: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 40000), lenient=True)
        self.waiting = bytearray()
        self.reads = True
        self._paused = False

    def write(self, data: bytes) -> None:
        if self.disconnected:
            return
        self.waiting += data
        if self.producer is not None and len(self.waiting) > BUFFER:
            self._paused = True
            self.producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Repeatable, as with a socket."""
        self.producer = None

    def drain(self) -> None:
        """Let the client read everything."""
        while self.reads and self.waiting and not self.disconnected:
            self.io.write(bytes(self.waiting))
            self.waiting.clear()
            if self.producer is not None and self._paused:
                self._paused = False
                self.producer.resumeProducing()


class Client:
    """One connected client. The test decides its input.

    :ivar protocol: the broker's end.
    """

    def __init__(self, broker: Broker, host: str = "127.0.0.1") -> None:
        self.broker = broker
        self.frame_max = FRAME_MAX
        self.wire = Wire(host)
        self.protocol = broker.buildProtocol(self.wire.getPeer())
        self._lost = False
        self.protocol.makeConnection(self.wire)

    def login(
        self,
        user: str = "guest",
        password: str = "guest",
        *,
        vhost: str = "/",
        capabilities: dict[str, Any] = CAPABILITIES,
        channel_max: int = 2047,
        frame_max: int = FRAME_MAX,
        heartbeat: int = 0,
    ) -> Client:
        """Play the client's part of the handshake."""
        self.frame_max = frame_max
        self.feed(PROTOCOL_HEADER, start_ok(user, password, capabilities))
        self.feed(method(0, "connection.tune-ok", channel_max, frame_max, heartbeat))
        self.feed(method(0, "connection.open", vhost, "", False))
        names = self.names()
        assert names == ["connection.start", "connection.tune", "connection.open-ok"], names
        return self

    def feed(self, *chunks: bytes) -> None:
        """Send bytes. They are lost after the connection's end, and while the broker does not read."""
        for chunk in chunks:
            if self.gone or self.wire.producerState != "producing":
                return
            self.protocol.dataReceived(chunk)
        self._react()

    def send(self, channel: int, name: str, *args: Any) -> None:
        """Send a method."""
        self.feed(method(channel, name, *args))

    def call(self, channel: int, name: str, *args: Any) -> Written:
        """Send a method, and return the one frame that the broker answers with."""
        self.written()
        self.send(channel, name, *args)
        (answer,) = self.written()
        return answer

    def channel(self, number: int = 1) -> int:
        """Open a channel; return its number."""
        assert self.call(number, "channel.open", "").name == "channel.open-ok"
        return number

    def declare(self, channel: int, queue: str, arguments: dict[str, Any] | None = None, **flags: bool) -> str:
        """Declare a queue; return its name."""
        names = ("passive", "durable", "exclusive", "auto_delete", "nowait")
        bits = [flags.get(name, False) for name in names]
        name: str = self.call(channel, "queue.declare", 0, queue, *bits, arguments or {}).args[0]
        return name

    def consume(self, channel: int, queue: str, tag: str = "", *, no_ack: bool = False) -> None:
        """Consume. The answer and deliveries are for :meth:`written`."""
        self.send(channel, "basic.consume", 0, queue, tag, False, no_ack, False, False, {})

    def publish(self, channel: int, exchange: str, routing_key: str, body: bytes = b"", **more: Any) -> None:
        """Publish a message, as :func:`publish` writes it."""
        self.feed(publish(channel, exchange, routing_key, body, **more))

    def raw(self) -> bytes:
        """The bytes that the broker has written since the last call."""
        self._react()
        data: bytes = self.wire.value()
        self.wire.clear()
        return data

    def written(self) -> list[Written]:
        """The frames in them, none of which is larger than agreed."""
        frames = read_frames(self.raw())
        assert all(len(each.payload) <= self.frame_max - 8 for each in frames), frames
        return frames

    def names(self) -> list[str]:
        """The names of the methods in them; other frames are nameless."""
        return [each.name for each in self.written()]

    def lose(self) -> None:
        """Close the socket."""
        if not self._lost:
            self._lost = True
            self.wire.producerState = "stopped"
            self.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def gone(self) -> bool:
        """Whether the connection has ended."""
        self._react()
        return self._lost

    def _react(self) -> None:
        """Do the work of a reactor's next iteration: send output, and close sockets."""
        self.wire.drain()
        if self.wire.disconnected or (self.wire.disconnecting and not self.wire.waiting):
            self.lose()
