"""Arguments of queues, exchanges, bindings and consumers, one wrong value at a time, in RabbitMQ's words."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.broker.arguments import (
    COMPARED,
    MAX_MILLISECONDS,
    QueueArguments,
    check_alternate,
    check_equivalent,
    check_equivalent_argument,
    check_match,
    check_priority,
    read_queue_arguments,
    type_name,
)
from rpc.broker.exchange import MATCHES
from rpc.broker.protocol_error import ProtocolError

NUMBERS = ("x-expires", "x-message-ttl", "x-max-length", "x-max-length-bytes", "x-max-priority", "x-delivery-limit")
TEXTS = ("x-overflow", "x-queue-mode", "x-queue-type")


class ReadTests(SynchronousTestCase):
    """The arguments of a queue."""

    def problem(self, **table: Any) -> str:
        """What is said of an argument; underscores stand for dashes."""
        with self.assertRaises(ProtocolError) as raised:
            read_queue_arguments("'q'", {name.replace("_", "-"): value for name, value in table.items()})
        self.assertEqual((raised.exception.code, raised.exception.ends_connection), (406, False))
        text: str = raised.exception.text
        return text.removeprefix("PRECONDITION_FAILED - ")

    def test_numbers(self) -> None:
        """Negative ones are refused, and whatever is no whole number: a truth is none."""
        for name in NUMBERS:
            begin = f"invalid arg '{name}' for queue 'q': "
            self.assertEqual(self.problem(**{name: -1}), begin + "{value_negative,-1}")
            for value, kind in ((True, "bool"), ("1", "longstr"), (1.0, "double"), (None, "void"), ([], "array")):
                self.assertEqual(self.problem(**{name: value}), f'{begin}"expected integer, got {kind}"')

    def test_bounds(self) -> None:
        """Ten years, 255 priorities and no unused time of 0; what is at the bound is taken."""
        for name, attribute in (("x-expires", "expires"), ("x-message-ttl", "message_ttl")):
            read = read_queue_arguments("'q'", {name: MAX_MILLISECONDS})
            self.assertEqual(getattr(read, attribute), MAX_MILLISECONDS)
            self.assertIn("{value_too_large,315360000001}", self.problem(**{name: MAX_MILLISECONDS + 1}))
        self.assertIn("{value_zero,0}", self.problem(x_expires=0))
        self.assertEqual(read_queue_arguments("'q'", {"x-message-ttl": 0}).message_ttl, 0)
        self.assertEqual(read_queue_arguments("'q'", {"x-max-priority": 255}).priorities, 255)
        self.assertIn("{max_value_exceeded,256}", self.problem(x_max_priority=256))
        self.assertEqual(read_queue_arguments("'q'", {"x-max-length": 2**62}).max_length, 2**62)

    def test_texts(self) -> None:
        """A text is one of a few, and a number is none."""
        for name in TEXTS:
            self.assertIn("{unacceptable_type,signedint}", self.problem(**{name: 1}))
        self.assertIn("invalid_overflow", self.problem(x_overflow=""))
        self.assertIn("unsupported queue mode 'eager'", self.problem(x_queue_mode="eager"))
        for how in ("drop-head", "reject-publish", "reject-publish-dlx"):
            self.assertEqual(read_queue_arguments("'q'", {"x-overflow": how}).overflow, how)

    def test_single_active(self) -> None:
        """It is a truth, and a number is none."""
        self.assertTrue(read_queue_arguments("'q'", {"x-single-active-consumer": True}).single_active)
        self.assertIn("{unacceptable_type,signedint}", self.problem(x_single_active_consumer=1))

    def test_first_of_several(self) -> None:
        """Of several wrong ones the first in RabbitMQ's order is told, whatever order they come in."""
        self.assertIn("'x-expires'", self.problem(x_max_length=-1, x_message_ttl=-1, x_expires=-1))

    def test_dead_letters(self) -> None:
        """An empty exchange is the default one; a key needs an exchange."""
        read = read_queue_arguments("'q'", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": ""})
        self.assertEqual((read.dead_letter_exchange, read.dead_letter_routing_key), ("", ""))
        self.assertIn("unacceptable_type", self.problem(x_dead_letter_routing_key=1, x_dead_letter_exchange=""))

    def test_bounded(self) -> None:
        """A bound of 0 is one."""
        self.assertFalse(QueueArguments().bounded)
        self.assertTrue(QueueArguments(max_length=0).bounded)
        self.assertTrue(QueueArguments(max_length_bytes=0).bounded)


class OtherTests(SynchronousTestCase):
    """What is checked elsewhere than at a queue."""

    def test_match(self) -> None:
        """A headers exchange knows the kinds of x-match, and none is all."""
        for known in MATCHES:
            check_match({"x-match": known}, MATCHES)
        check_match({}, MATCHES)
        unknown: list[tuple[Any, str]] = [
            ("some", 'value <<"some">>; expected all, any, all-with-x, or any-with-x'),
            ("", "value <<>>; expected"),
            (True, "type bool (value true); expected longstr"),
            (5, "type signedint (value 5); expected longstr"),
        ]
        for how, words in unknown:
            with self.assertRaises(ProtocolError) as raised:
                check_match({"x-match": how}, MATCHES)
            self.assertIn(f"Invalid x-match field {words}", raised.exception.text)

    def test_priority(self) -> None:
        """Any whole number, also a negative one; 0 without."""
        self.assertEqual([check_priority("'q'", {}), check_priority("'q'", {"x-priority": -7})], [0, -7])
        for value in (True, "1", 1.5, None):
            self.assertRaises(ProtocolError, check_priority, "'q'", {"x-priority": value})

    def test_alternate(self) -> None:
        """It is named by a text, or not at all."""
        check_alternate("'x'", {})
        check_alternate("'x'", {"alternate-exchange": "rest"})
        with self.assertRaises(ProtocolError) as raised:
            check_alternate("'x'", {"alternate-exchange": None})
        self.assertIn("invalid type 'void' for arg 'alternate-exchange' in exchange 'x'", raised.exception.text)

    def test_same(self) -> None:
        """What differs is told: properties by their values, arguments with their types."""
        check_equivalent("queue 'q'", "durable", True, True)
        with self.assertRaises(ProtocolError) as raised:
            check_equivalent("queue 'q'", "durable", True, False)
        self.assertIn(
            "inequivalent arg 'durable' for queue 'q': received 'false' but current is 'true'", raised.exception.text
        )
        for name in COMPARED:
            check_equivalent_argument("queue 'q'", name, {}, {})
        with self.assertRaises(ProtocolError) as raised:
            check_equivalent_argument("queue 'q'", "x-max-length", {"x-max-length": 5}, {})
        self.assertIn("received none but current is the value '5' of type 'signedint'", str(raised.exception))
        with self.assertRaises(ProtocolError) as raised:
            check_equivalent_argument("queue 'q'", "x-queue-type", {}, {"x-queue-type": "quorum"})
        self.assertIn("received 'quorum' but current is 'classic'", str(raised.exception))

    def test_type_names(self) -> None:
        """Every kind of value has RabbitMQ's name."""
        moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
        values: list[Any] = [True, 1, "", b"", 1.0, [], {}, moment, Decimal(1), None]
        found = [type_name(value) for value in values]
        expected = "bool signedint longstr binary double array table timestamp decimal void"
        self.assertEqual(found, expected.split())
