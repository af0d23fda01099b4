"""The properties of copies."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import decode_properties
from rpc.amqp.delegate import Credentials
from rpc.cli import copies
from rpc.cli.copies import copy_as_it_is, own_user, revived
from rpc.errors import ChannelClosed
from rpc.messages import Properties
from tests.unit.amqp.peer import HEADER, Peer, method
from tests.unit.cli.dead_support import letter


class RevivedTests(SynchronousTestCase):
    """The properties of a letter that is replayed."""

    def test_drops_the_reply_queue_the_expiration_and_the_headers_of_deliveries(self) -> None:
        """All other properties are unchanged."""
        alive = Properties(
            content_type="application/vnd.apache.thrift.compact",
            headers={"user": "Ada", "traceparent": "00-1"},
            delivery_mode=2,
            priority=3,
            correlation_id="c",
            message_id="m",
            timestamp=1,
            type="Calculator.add",
            app_id="a",
        )
        headers = {
            **(alive.headers or {}),
            "rpc-dead-reason": "x",
            "rpc-dead-size": 7,
            "rpc-deliveries": 6,
            "x-delivery-count": 6,
            "CC": ["elsewhere"],
        }
        dead = attrs.evolve(alive, headers=headers, reply_to="q", expiration="1", user_id="eve", delivery_mode=1)
        self.assertEqual(revived(dead), alive)
        self.assertEqual(revived(Properties(headers={"rpc-dead-reason": "x"})), Properties(delivery_mode=2))


class SenderTests(SynchronousTestCase):
    """The sender that a copy names."""

    def copied(self, own: str | None) -> Properties:
        """Return the properties of a copy of a message of ada's."""
        message = letter(1, Properties(user_id="ada", headers={"rpc-caller": "eve", "x-delivery-count": 2}))
        assert message.content is not None
        return decode_properties(copy_as_it_is(message.content, own))

    def test_a_copy_has_our_user_id_and_names_the_sender_in_a_header(self) -> None:
        self.assertEqual(
            self.copied("worker"), Properties(user_id="worker", headers={"rpc-caller": "ada"}, delivery_mode=2)
        )

    def test_a_copy_names_no_sender_when_our_name_is_not_known(self) -> None:
        self.assertEqual(self.copied(None), Properties(delivery_mode=2))


class OwnUserTests(SynchronousTestCase):
    """The question by which name the broker knows us."""

    def ask(self, credentials: Credentials) -> Deferred[str | None]:
        """Ask; the broker has opened the channel."""
        self.peer = Peer(credentials).open()
        asking = Deferred.fromCoroutine(own_user(self.peer.connection))
        self.peer.written()
        self.peer.feed(method(1, "channel.open-ok", b""))
        self.assertNoResult(asking)
        return asking

    def asked(self) -> str | None:
        """Return the user id of the message."""
        (header,) = [frame for frame in self.peer.written() if frame.kind == HEADER]
        return decode_properties(header.payload[12:]).user_id

    def test_the_name_is_that_of_the_url_if_the_broker_takes_it(self) -> None:
        asking = self.ask(Credentials("ada"))
        self.assertEqual(self.asked(), "ada")
        self.peer.feed(method(1, "confirm.select-ok"))
        self.assertEqual(self.successResultOf(asking), "ada")
        self.assertEqual(self.peer.names(), ["channel.close"])

    def test_there_is_none_if_the_broker_refuses_it(self) -> None:
        self.patch(copies, "warn", lambda text: None)
        asking = self.ask(Credentials("ada"))
        refusal = "PRECONDITION_FAILED - user_id property set to 'ada' but authenticated user was 'b'"
        self.peer.feed(method(1, "channel.close", 406, refusal, 60, 40))
        self.assertIsNone(self.successResultOf(asking))

    def test_another_error_of_the_broker_is_raised(self) -> None:
        asking = self.ask(Credentials())
        self.peer.feed(method(1, "channel.close", 403, "ACCESS_REFUSED", 60, 40))
        self.failureResultOf(asking, ChannelClosed)

    def test_a_certificate_without_a_name_asks_as_well(self) -> None:
        """During an alarm this message blocks the connection, and not a copy."""
        asking = self.ask(Credentials(mechanism="EXTERNAL"))
        self.assertIsNone(self.asked())
        self.peer.feed(method(1, "confirm.select-ok"))
        self.assertIsNone(self.successResultOf(asking))
