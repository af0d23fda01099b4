"""Gathered output: one write for a pass, and when it does not wait for the reactor."""

from __future__ import annotations

from twisted.internet.tcp import Connection as Socket
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.output import FEW_WRITES, Output


class FakeSocket(Socket):
    """A socket's transport that notes its writes; the socket below it is never opened."""

    def __init__(self) -> None:
        self.disconnecting = False
        self.dataBuffer = b""
        self.events: list[object] = []

    def write(self, data: bytes) -> None:
        self.events.append(data)

    def writeSequence(self, parts: list[bytes]) -> None:  # type: ignore[override]
        self.events.append(b"".join(parts))

    def doWrite(self) -> None:
        self.events.append("sent")


class OutputTests(SynchronousTestCase):
    """Output, over a fake of a socket's transport."""

    def setUp(self) -> None:
        self.socket = FakeSocket()
        self.output = Output(self.socket)

    def test_sends_a_few_frames_at_once_in_one_write(self) -> None:
        for _ in range(FEW_WRITES):
            self.output.append(b"x")
        self.output.flush()
        self.assertEqual(self.socket.events, [b"xx", "sent"])

    def test_leaves_many_frames_to_the_reactor(self) -> None:
        for _ in range(FEW_WRITES + 1):
            self.output.append(b"x")
        self.output.flush()
        self.assertEqual(self.socket.events, [b"xxx"])

    def test_leaves_few_frames_to_the_reactor_on_request(self) -> None:
        self.output.append(b"x")
        self.output.flush(at_once=False)
        self.assertEqual(self.socket.events, [b"x"])

    def test_leaves_few_frames_to_the_reactor_behind_unsent_bytes(self) -> None:
        self.socket.dataBuffer = b"unsent"
        self.output.append(b"x")
        self.output.flush()
        self.assertEqual(self.socket.events, [b"x"])

    def test_writes_nothing_when_nothing_is_gathered(self) -> None:
        self.output.flush()
        self.assertEqual(self.socket.events, [])

    def test_writes_a_large_message_behind_what_is_gathered(self) -> None:
        """And only until the next flush the output counts as large."""
        self.output.append(b"1")
        self.output.write_large([b"2", b"3"])
        self.output.append(b"4")
        self.output.flush()
        self.assertEqual(self.socket.events, [b"123", b"4"])
        self.output.append(b"5")
        self.output.flush()
        self.assertEqual(self.socket.events[2:], [b"5", "sent"])

    def test_writes_to_other_transports_once(self) -> None:
        """A TLS connection has no socket of its own to flush."""
        transport = StringTransport()
        output = Output(transport)
        output.append(b"x")
        output.flush()
        self.assertEqual(transport.value(), b"x")
        self.assertEqual(len(output), 0)
