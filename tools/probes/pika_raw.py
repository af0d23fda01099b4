"""A socket with pika's codec, for bytes that pika itself would never send."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pika
from pika import frame, spec

from tools.probes.pika_support import PATIENCE, Probe

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
AMQP_0_9_1 = b"AMQP\x00\x00\x09\x01"
LOGIN = spec.Connection.StartOk({"capabilities": {}}, "PLAIN", b"\x00guest\x00guest", "en_US")


class RawConnection:
    """A socket that is as far in the handshake as a scenario wants it."""

    def __init__(self, probe: Probe, *, header: bytes = AMQP_0_9_1) -> None:
        self._probe = probe
        parameters = pika.URLParameters(probe.url)
        self._socket = socket.create_connection((parameters.host, parameters.port), timeout=PATIENCE)
        self._buffer = b""
        self.latest = b""  # the bytes of the frame that came last
        self.send(header)

    def opened(self, channel_max: int = 100, frame_max: int = 131072, heartbeat: int = 0) -> RawConnection:
        """The same, logged in, with a virtual host and channel 1 open."""
        self.tuned(channel_max, frame_max, heartbeat)
        for channel, method in ((0, spec.Connection.Open("/")), (1, spec.Channel.Open())):
            self.method(channel, method)
            self.receive()
        return self

    def tuned(self, channel_max: int = 100, frame_max: int = 131072, heartbeat: int = 0) -> RawConnection:
        """The same, logged in, with the client's values in tune-ok."""
        self.receive()
        self.method(0, LOGIN)
        self.receive()
        self.method(0, spec.Connection.TuneOk(channel_max, frame_max, heartbeat))
        return self

    def send(self, data: bytes) -> None:
        """Send bytes; a broker that has hung up is seen when its answer is read."""
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def method(self, channel: int, method: Any) -> None:
        """Send a method as it should be."""
        self.send(frame.Method(channel, method).marshal())

    def frame(self, kind: int, channel: int, payload: bytes, end: bytes = b"\xce") -> None:
        """Send a frame that need not be one."""
        self.send(struct.pack(">BHI", kind, channel, len(payload)) + payload + end)

    def call(self, channel: int, class_id: int, method_id: int, arguments: bytes = b"") -> None:
        """Send a method that need not be one."""
        self.frame(METHOD, channel, struct.pack(">HH", class_id, method_id) + arguments)

    def receive(self) -> Any:
        """The next frame that is no heartbeat; or in a word, why none comes."""
        while True:
            received = self.receive_any()
            if not isinstance(received, frame.Heartbeat):
                return received

    def receive_any(self) -> Any:
        """The next frame, or in a word, why none comes."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            size, received = frame.decode_frame(self._buffer)
            if received is not None:
                self.latest, self._buffer = self._buffer[:size], self._buffer[size:]
                return received
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                break
            except OSError:
                data = b""
            if not data:
                return "hung up"
            self._buffer += data
        return "silence"

    def ask(self) -> None:
        """Have a broker answer that has no complaint: ask it for another channel."""
        self.method(77, spec.Channel.Open())

    def say(self, what: str) -> None:
        """Print the broker's answer, and whether it closes the connection then."""
        received = self.receive()
        self._probe.say(f"{what}: {describe_frame(received)}")
        if isinstance(getattr(received, "method", None), spec.Connection.Close):
            self.method(0, spec.Connection.CloseOk())
            received = self.receive()
        then = received if isinstance(received, str) else "it goes on"
        self._probe.say(f"{what}, then: {then}")
        self.close()

    def say_next(self, what: str) -> None:
        """Print the next frame."""
        self._probe.say(f"{what}: {describe_frame(self.receive())}")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def describe_frame(received: Any) -> str:
    """A frame in words, or the word for why there is none."""
    if isinstance(received, str):
        return received
    if isinstance(received, frame.ProtocolHeader):
        return f"protocol header {received.major}.{received.minor}.{received.revision}"
    where = f"channel {received.channel_number}"
    if isinstance(received, frame.Method):
        method = received.method
        if isinstance(method, spec.Connection.Close | spec.Channel.Close):
            fault = f"(method {method.class_id}.{method.method_id})"
            return f"{method.NAME} on {where}: {method.reply_code} {method.reply_text} {fault}"
        return f"{method.NAME} on {where}"
    return f"{type(received).__name__} on {where}"


def each(probe: Probe, cases: dict[str, Callable[[RawConnection], None]], **tuning: int) -> None:
    """Do each wrong on a connection of its own, side by side: some brokers take seconds to hang up."""
    connections = {what: RawConnection(probe).opened(**tuning) for what in cases}
    for what, do_wrong in cases.items():
        do_wrong(connections[what])
        connections[what].ask()
    for what, connection in connections.items():
        connection.say(what)
