"""Connections in memory: logins, heartbeats, exclusive queues."""

from __future__ import annotations

from typing import Any

from rpc.amqp.codec.fields import encode_table
from rpc.amqp.codec.frames import PROTOCOL_HEADER
from rpc.amqp.codec.methods import decode_method
from rpc.amqp.codec.spec import load_spec
from tests.unit.amqp.peer import Written, method
from tests.unit.broker.peer import Client, start_ok
from tests.unit.broker.queue_case import QueueCase


class ConnectionTests(QueueCase):
    """Logins, heartbeats, and the end of connections."""

    def test_accepts_guest_from_this_machine_only(self) -> None:
        """A user that was added may connect from anywhere."""
        for host, welcome in (("192.0.2.1", False), ("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True)):
            self.assertIs(self.broker.login_problem("guest", "guest", host) is None, welcome, host)
        self.broker.add_user("ada", "secret")
        self.assertIsNone(self.broker.login_problem("ada", "secret", "192.0.2.1"))
        self.assertIsNotNone(self.broker.login_problem("ada", "wrong", "127.0.0.1"))
        self.assertIsNotNone(self.broker.login_problem("nobody", "", "127.0.0.1"))

    def test_gives_the_reason_to_clients_that_know_authentication_failure_close(self) -> None:
        """The socket of others is closed without it."""
        for capabilities, names in (
            ({"authentication_failure_close": True}, ["connection.start", "connection.close"]),
            ({}, ["connection.start"]),
        ):
            stranger = Client(self.broker, "192.0.2.1")
            stranger.feed(PROTOCOL_HEADER, start_ok(capabilities=capabilities))
            frames = stranger.written()
            self.assertEqual([each.name for each in frames], names)
            if capabilities:
                self.assertEqual(
                    frames[1].args[:2], (403, "ACCESS_REFUSED - user 'guest' can only connect via localhost")
                )
        self.assertTrue(stranger.gone)

    def outcome_of_login(self, mechanism: str, response: bytes) -> Written:
        """The broker's answer to a login."""
        stranger = Client(self.broker)
        properties = {"capabilities": {"authentication_failure_close": True}}
        stranger.feed(PROTOCOL_HEADER, method(0, "connection.start-ok", properties, mechanism, response, "en_US"))
        self.advance(120.0)  # logins that fail pause before the next
        return stranger.written()[1]

    def test_takes_the_login_of_amqplain(self) -> None:
        """The fields of a table, without its size. txAMQP's clients log in by it."""
        self.broker.add_user("ada", "pass\udce9")
        for password in ("pass\udce9", b"pass\xe9"):
            table = encode_table({"LOGIN": "ada", "PASSWORD": password, "other": 1})
            self.assertEqual(self.outcome_of_login("AMQPLAIN", table[4:]).name, "connection.tune", password)

    def test_refuses_a_wrong_login_by_amqplain(self) -> None:
        """A wrong password, fields that are missing or no text, and bytes that are no table."""
        for response in (
            encode_table({"LOGIN": "guest", "PASSWORD": "wrong"})[4:],
            encode_table({"LOGIN": "guest"})[4:],
            encode_table({"LOGIN": ["guest"], "PASSWORD": True})[4:],
            encode_table({"LOGIN": "guest", "PASSWORD": "guest"}),  # with its size
            b"\0guest\0guest",
            b"",
        ):
            closed = self.outcome_of_login("AMQPLAIN", response)
            refused = (
                "ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN. For details see the "
                "broker logfile."
            )
            self.assertEqual((closed.name, closed.args[:2]), ("connection.close", (403, refused)), response)

    def test_refuses_another_mechanism(self) -> None:
        """The error names those that there are."""
        closed = self.outcome_of_login("EXTERNAL", b"")
        self.assertEqual((closed.name, closed.args[0]), ("connection.close", 530))
        self.assertIn("PLAIN AMQPLAIN, not 'EXTERNAL'", closed.args[1])

    def test_keeps_a_silent_connection_without_heartbeats(self) -> None:
        """A heartbeat of 0 means none."""
        self.advance(1_000_000.0)
        self.assertEqual((self.client.names(), self.client.gone), ([], False))

    def test_sends_heartbeats_and_closes_a_silent_connection(self) -> None:
        """After two silent intervals; unacked messages are requeued."""
        silent = Client(self.broker).login(heartbeat=2)
        silent.channel()
        self.client.declare(1, "q")
        silent.consume(1, "q")
        self.put("q", b"1")
        silent.written()
        self.advance(1.0)
        self.assertEqual([each.kind for each in silent.written()], [8])
        for _ in range(5):
            self.advance(1.0)
        self.assertTrue(silent.gone)
        self.assertEqual(self.get("q"), (b"1", True, None))

    def test_deletes_exclusive_and_auto_delete_queues(self) -> None:
        """An exclusive queue is deleted with its connection, an auto-delete one with its last consumer."""
        other = Client(self.broker).login()
        other.channel()
        other.declare(1, "mine", exclusive=True)
        answer = self.client.call(1, "queue.declare", 0, "mine", True, False, False, False, False, {})
        self.assertEqual(answer.args[0], 405)
        other.lose()
        self.client.send(1, "channel.close-ok")
        self.client.channel()
        self.client.declare(1, "auto", auto_delete=True)
        self.client.consume(1, "auto", "c")
        self.client.send(1, "basic.cancel", "c", False)
        self.assertEqual(self.broker.vhosts["/"].queues, {})

    def test_leaves_no_memory_and_no_timer_behind(self) -> None:
        """After all connections are closed and all queues deleted."""
        self.client.declare(1, "q", {"x-message-ttl": 1000, "x-expires": 5000})
        self.put("q", b"1", b"2")
        self.client.consume(1, "q")
        self.client.send(1, "queue.delete", 0, "q", False, False, False)
        self.client.lose()
        clock: Any = self.broker.clock
        self.assertEqual(self.broker.memory.held, 0)
        self.assertEqual((clock.getDelayedCalls(), self.broker.connections), ([], {}))

    def test_writes_methods_as_the_specification_defines_them(self) -> None:
        """connection.start is decoded by its definition."""
        stranger = Client(self.broker)
        stranger.feed(b"AMQP\x00\x00\x09\x01")
        (start,) = stranger.written()
        method, arguments = decode_method(load_spec(), start.payload)
        self.assertEqual((method.name, arguments[0:2], arguments[3]), ("start", (0, 9), b"PLAIN AMQPLAIN"))
