"""Hostile clients on real sockets: the embedded broker stays within its limits and serves other clients."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

import rpc
from generated.calculator import Calculator
from rpc.amqp.codec.frames import PROTOCOL_HEADER
from rpc.broker.limits import MEGABYTE
from rpc.errors import ChannelClosed
from services.calculator import CalculatorHandler
from tests.unit.amqp.peer import BODY, HEADER, frame, method
from tests.unit.broker.peer import publish, start_ok
from tools.nodes.embedded import EmbeddedNode

SEED = 20260525
PAGE = os.sysconf("SC_PAGE_SIZE")
LOGIN = (
    PROTOCOL_HEADER
    + start_ok()
    + method(0, "connection.tune-ok", 2047, 131072, 0)
    + method(0, "connection.open", "/", "", False)
    + method(1, "channel.open", "")
)


class HostileClientTests(TestCase):
    """One broker for all tests, with an honest worker and client."""

    timeout = 60.0
    node: ClassVar[EmbeddedNode]

    @classmethod
    def setUpClass(cls) -> None:
        cls.node = EmbeddedNode().start()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.node.close()

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.sockets: list[socket.socket] = []
        self.addCleanup(self.hang_up)
        self.worker = rpc.Worker(self.node.url, [rpc.ThriftService(Calculator, CalculatorHandler())])
        self.worker.startService()
        self.addCleanup(self.worker.stopService)
        await self.worker.when_serving()
        self.connection = await rpc.connect(self.node.url)
        self.addCleanup(self.connection.close)
        self.client = self.connection.client(Calculator, timeout=20.0)
        self.before = self.memory()

    def hang_up(self) -> None:
        """Close the sockets of the test."""
        for each in self.sockets:
            each.close()

    def memory(self) -> int:
        """Return the resident memory of the broker's process in bytes."""
        return int(Path(f"/proc/{self.node.pid}/statm").read_text().split()[1]) * PAGE

    def hostile(self, data: bytes = LOGIN, *, reads: bool = True) -> socket.socket:
        """Return a connection that has sent `data`; one that does not read has the smallest receive buffer."""
        each = socket.socket()
        self.sockets.append(each)
        if not reads:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        each.settimeout(5.0)
        each.connect(("127.0.0.1", self.node.port))
        each.sendall(data)
        return each

    def flood(self, each: socket.socket, data: bytes, times: int, *, patience: float = 20.0) -> int:
        """Send `data` this many times, or until the broker stops reading; return the number of bytes sent.

        :param patience: seconds in which the broker takes nothing, after which it has stopped. ``socket.sendall`` would
            bound the whole time instead, which a slow machine needs for a large `data`.
        """
        each.settimeout(patience)
        sent = 0
        with contextlib.suppress(OSError):
            for _ in range(times):
                rest = memoryview(data)
                while rest:
                    taken = each.send(rest)
                    rest = rest[taken:]
                    sent += taken
        return sent

    async def assert_unharmed(self, most: int) -> None:
        """Check that calls are answered, that the log has no traceback, and that the process has grown by at most
        `most` bytes.
        """
        answers = await gatherResults([self.client.add(number, 1) for number in range(200)])
        self.assertEqual(answers, [number + 1 for number in range(200)])
        self.node.check_log()
        self.assertLess(self.memory() - self.before, most)

    async def test_survives_three_hundred_connections_of_noise(self) -> None:
        """Before and after the login, in whole frames and halves."""
        noise = random.Random(SEED)

        def attack() -> None:
            for number in range(300):
                beginning = (b"", PROTOCOL_HEADER, LOGIN)[number % 3]
                session = LOGIN + publish(1, "", "nowhere", noise.randbytes(noise.randrange(5000)))
                data = noise.choice((noise.randbytes(noise.randrange(2000)), session[: noise.randrange(len(session))]))
                self.flood(self.hostile(beginning), data, 1)
                if number % 2:
                    self.sockets.pop().close()

        attacked = deferToThread(attack)
        while not attacked.called:
            self.assertEqual(await self.client.add(1, 2), 3)
        await attacked
        await self.assert_unharmed(32 * MEGABYTE)

    async def test_a_consumer_that_does_not_read_costs_little_memory(self) -> None:
        """Beside the messages in the queue."""
        declare = method(1, "queue.declare", 0, "slow", False, False, False, True, False, {"x-max-length": 100})
        consume = method(1, "basic.consume", 0, "slow", "c", False, True, False, False, {})
        self.hostile(LOGIN + declare + consume, reads=False)
        message = publish(1, "", "slow", b"x" * 100_000)
        publisher = self.hostile()
        sent = await deferToThread(self.flood, publisher, message, 1000)
        self.assertGreater(sent, 500 * len(message))
        await self.assert_unharmed(48 * MEGABYTE)

    async def test_stops_reading_from_a_client_that_takes_no_answers(self) -> None:
        """Back-pressure: it pauses reading."""
        declare = method(1, "queue.declare", 0, "asked", False, False, True, False, False, {})
        each = self.hostile(LOGIN + declare, reads=False)
        question = method(1, "queue.declare", 0, "asked", True, False, False, False, False, {}) * 1000
        sent = await deferToThread(self.flood, each, question, 2000, patience=0.5)
        self.assertLess(sent, 64 * MEGABYTE)
        await self.assert_unharmed(64 * MEGABYTE)

    async def test_closes_a_connection_with_unfinished_contents_on_many_channels(self) -> None:
        """They would take memory without limit."""
        opened = b"".join(method(number, "channel.open", "") for number in range(2, 2000))
        each = self.hostile(LOGIN + opened)
        header, piece = struct.pack(">HHQ", 60, 0, 10 * MEGABYTE) + b"\x00\x00", b"x" * 100_000
        begun = b"".join(
            method(number, "basic.publish", 0, "", "q", False, False)
            + frame(HEADER, number, header)
            + frame(BODY, number, piece)
            for number in range(1, 2000)
        )
        await deferToThread(self.flood, each, begun, 1)  # bytes after connection.close are read and dropped
        await self.assert_unharmed(160 * MEGABYTE)
        self.assertIn("506", self.node.log.read_text(errors="replace"))

    async def test_survives_four_hundred_idle_or_vanishing_connections(self) -> None:
        """Two hundred send nothing, and two hundred vanish after the login."""

        def attack() -> None:
            for _ in range(200):
                self.hostile(b"")
            for _ in range(200):
                self.hostile()
                self.sockets.pop().close()

        await deferToThread(attack)
        await self.assert_unharmed(64 * MEGABYTE)

    async def test_deletes_the_exclusive_queues_of_vanished_clients(self) -> None:
        """Messages that they had not acked are delivered to others."""
        declare = method(1, "queue.declare", 0, "mine", False, False, True, False, False, {})
        each = self.hostile(LOGIN + declare)
        await deferToThread(each.recv, 1)
        each.close()
        link: Any = self.connection._link
        gone = False
        while not gone:
            channel = await link.connection.open_channel()
            try:
                await channel.queue_declare(queue="mine", passive=True)
            except ChannelClosed as error:
                gone = error.code == 404
            await channel.close()
        await self.assert_unharmed(32 * MEGABYTE)
