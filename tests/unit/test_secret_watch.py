"""A password file that changes during a connection, with time from a clock and a broker in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from rpc.broker_address import Origin, resolve
from rpc.link import Link
from rpc.secret_watch import INTERVAL
from rpc.uri import parse
from tests.unit.amqp.memory_reactor import BrokerReactor, Socket
from tests.unit.amqp.peer import OPEN_OK, method, tune
from tests.unit.logs import log_lines


def start(product: str = "RabbitMQ", version: str = "3.10.8") -> bytes:
    """A broker's first frame."""
    return method(0, "connection.start", 0, 9, {"product": product, "version": version}, b"PLAIN EXTERNAL", b"en_US")


START = start()


def login_of(socket: Socket) -> Any:
    """The response with which the client has logged in; drops all that it has written."""
    return next(frame.args[2] for frame in socket.written() if frame.name == "connection.start-ok")


class SecretWatchTests(SynchronousTestCase):
    """SecretWatch, on a link."""

    def setUp(self) -> None:
        self.reactor = BrokerReactor()
        self.file = Path(self.mktemp())
        self.file.write_text("one")
        self.lines = log_lines(self)

    def connect(self, url: str | None = None, first: bytes = START) -> Socket:
        """A link's connection to a broker whose first frame is given."""
        url = url or f"amqp://anna@192.0.2.1/?heartbeat=0&password_file={quote(str(self.file))}"
        self.link = Link(self.reactor, parse(url), "client")
        self.link.startService()
        socket = self.reactor.socket().accept()
        socket.feed(first, tune(), OPEN_OK)
        self.login = login_of(socket)
        return socket

    def logged(self) -> str:
        """All log lines."""
        return "\n".join(self.lines)

    def told(self, socket: Socket) -> list[Any]:
        """The secrets that the broker is told within two intervals; it takes each."""
        secrets = []
        for _ in range(2):
            self.reactor.advance(INTERVAL)
            for frame in socket.written():
                self.assertEqual(frame.name, "connection.update-secret")
                secrets.append(frame.args[0])
                socket.feed(method(0, "connection.update-secret-ok"))
        return secrets

    def test_tells_each_new_password_once(self) -> None:
        socket = self.connect()
        self.assertEqual(self.login, b"\0anna\0one")
        self.assertEqual(self.told(socket), [])
        self.file.write_text("two")
        self.assertEqual(self.told(socket), [b"two"])
        self.file.write_text("one")
        self.assertEqual(self.told(socket), [b"one"])
        self.assertIn("was told the new password of user 'anna'", self.logged())
        self.assertNotIn("two", self.logged())

    def test_goes_on_when_the_file_cannot_be_read_for_a_while(self) -> None:
        """The log has one line for it, however long it lasts."""
        socket = self.connect()
        for content, problem in ((None, "No such file"), ("", "is empty")):
            self.file.unlink(missing_ok=True)
            if content is not None:
                self.file.write_text(content)
            self.assertEqual(self.told(socket), [])
            self.assertEqual(self.logged().count(problem), 1)
        self.file.write_text("one")
        self.assertEqual(self.told(socket), [])
        self.file.write_text("")
        self.assertEqual(self.told(socket), [])
        self.assertEqual(self.logged().count("is empty"), 2)  # it was good in between
        self.file.write_text("two")
        self.assertEqual(self.told(socket), [b"two"])

    def test_tells_once_that_a_password_was_not_sent(self) -> None:
        """It does not fit into a frame. The next one is told."""
        socket = self.connect()
        self.file.write_text("x" * 200_000)
        self.assertEqual(self.told(socket), [])
        self.assertEqual(self.logged().count("was not told the new password"), 1)
        self.file.write_text("two")
        self.assertEqual(self.told(socket), [b"two"])

    def test_tells_a_password_once_while_the_broker_does_not_answer(self) -> None:
        """One that comes meanwhile is told after the answer."""
        socket = self.connect()
        self.file.write_text("two")
        self.reactor.advance(INTERVAL)
        self.assertEqual([frame.args[0] for frame in socket.written()], [b"two"])
        self.file.write_text("three")
        for _ in range(3):
            self.reactor.advance(INTERVAL)
        self.assertEqual(socket.written(), [])
        socket.feed(method(0, "connection.update-secret-ok"))
        self.assertEqual(self.told(socket), [b"three"])

    def test_ends_with_a_connection_that_has_not_answered(self) -> None:
        """The watch of the next connection tells the next password once."""
        socket = self.connect()
        self.file.write_text("two")
        self.reactor.advance(INTERVAL)
        socket.lose()
        self.reactor.advance(20.0)
        socket = self.reactor.socket().accept()
        socket.feed(start(), tune(), OPEN_OK)
        self.assertEqual(login_of(socket), b"\0anna\0two")
        self.file.write_text("three")
        self.assertEqual(self.told(socket), [b"three"])

    def test_ends_with_the_connection(self) -> None:
        """And begins with the next, which logs in with the new password."""
        socket = self.connect()
        self.file.write_text("two")
        socket.lose()
        self.reactor.advance(20.0)
        socket = self.reactor.socket().accept()
        socket.feed(start(), tune(), OPEN_OK)
        self.assertEqual(login_of(socket), b"\0anna\0two")
        self.assertEqual(self.told(socket), [])
        self.link.stopService()
        socket.serve()
        socket.lose()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.timers(), [])

    def test_runs_no_timer_without_a_file_or_for_another_broker(self) -> None:
        """A broker that does not know the method would close the connection."""
        for url, first in (
            ("amqp://anna:one@192.0.2.1/?heartbeat=0", start()),
            ("amqp://192.0.2.1/?heartbeat=0&auth_mechanism=external", start()),
            (None, start("Another broker", "4.0")),
            (None, start("RabbitMQ", "3.7.28")),
        ):
            self.connect(url, first)
            self.assertEqual(self.reactor.timers(), [])
            self.reactor = BrokerReactor()

    def test_waits_for_the_next_connection_when_the_user_changes(self) -> None:
        """A connection's user cannot be changed."""
        url_file = Path(self.mktemp())
        url_file.write_text("amqp://anna:one@192.0.2.1/?heartbeat=0")
        self.patch(os, "environ", {**os.environ, "RPC_BROKER": "", "RPC_BROKER_FILE": str(url_file)})
        self.link = Link(self.reactor, resolve(Origin.ENVIRONMENT), "client")
        self.link.startService()
        socket = self.reactor.socket().accept()
        socket.feed(start(), tune(), OPEN_OK)
        socket.written()
        url_file.write_text("amqp://berta:two@192.0.2.1/?heartbeat=0")
        self.assertEqual(self.told(socket), [])
        self.assertEqual(self.logged().count("the user is now 'berta'"), 1)
        url_file.write_text("amqp://anna:two@192.0.2.1/?heartbeat=0")
        self.assertEqual(self.told(socket), [b"two"])
