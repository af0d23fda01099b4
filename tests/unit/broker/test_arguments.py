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
    check_match,
    check_priority,
    read_queue_arguments,
    type_name,
)
from rpc.broker.compatibility import RABBITMQ_3
from rpc.broker.equivalence import check_equivalent, check_equivalent_argument
from rpc.broker.exchange import MATCHES
from rpc.broker.protocol_error import ProtocolError

NUMBERS = ("x-expires", "x-message-ttl", "x-max-length", "x-max-length-bytes", "x-max-priority", "x-delivery-limit")
TEXTS = ("x-overflow", "x-queue-mode", "x-queue-type")


class ReadTests(SynchronousTestCase):
    """The arguments of a queue."""

    def problem(self, **table: Any) -> str:
        """The error for an argument; underscores stand for dashes. RabbitMQ 3 allows less than RabbitMQ 4."""
        with self.assertRaises(ProtocolError) as raised:
            read_queue_arguments("'q'", {name.replace("_", "-"): value for name, value in table.items()}, RABBITMQ_3)
        self.assertEqual((raised.exception.code, raised.exception.ends_connection), (406, False))
        text: str = raised.exception.text
        return text.removeprefix("PRECONDITION_FAILED - ")

    def test_rejects_values_that_are_no_whole_numbers(self) -> None:
        """Negative numbers and booleans are rejected too."""
        for name in NUMBERS:
            begin = f"invalid arg '{name}' for queue 'q': "
            self.assertEqual(self.problem(**{name: -1}), begin + "{value_negative,-1}")
            for value, kind in ((True, "bool"), ("1", "longstr"), (1.0, "double"), (None, "void"), ([], "array")):
                self.assertEqual(self.problem(**{name: value}), f'{begin}"expected integer, got {kind}"')

    def test_accepts_numbers_up_to_their_bounds(self) -> None:
        """Ten years, 255 priorities, and at least 1 ms for x-expires."""
        for name, attribute in (("x-expires", "expires"), ("x-message-ttl", "message_ttl")):
            read = read_queue_arguments("'q'", {name: MAX_MILLISECONDS})
            self.assertEqual(getattr(read, attribute), MAX_MILLISECONDS)
            self.assertIn("{value_too_large,315360000001}", self.problem(**{name: MAX_MILLISECONDS + 1}))
        self.assertIn("{value_zero,0}", self.problem(x_expires=0))
        self.assertEqual(read_queue_arguments("'q'", {"x-message-ttl": 0}).message_ttl, 0)
        self.assertEqual(read_queue_arguments("'q'", {"x-max-priority": 255}).priorities, 255)
        self.assertIn("{max_value_exceeded,256}", self.problem(x_max_priority=256))
        self.assertEqual(read_queue_arguments("'q'", {"x-max-length": 2**62}).max_length, 2**62)

    def test_accepts_the_listed_strings_only(self) -> None:
        """A number is not a string."""
        for name in TEXTS:
            self.assertIn("{unacceptable_type,signedint}", self.problem(**{name: 1}))
        self.assertIn("invalid_overflow", self.problem(x_overflow=""))
        self.assertIn("unsupported queue mode 'eager'", self.problem(x_queue_mode="eager"))
        for how in ("drop-head", "reject-publish", "reject-publish-dlx"):
            self.assertEqual(read_queue_arguments("'q'", {"x-overflow": how}).overflow, how)

    def test_accepts_a_boolean_for_single_active_consumer(self) -> None:
        """A number is not a boolean."""
        self.assertTrue(read_queue_arguments("'q'", {"x-single-active-consumer": True}).single_active)
        self.assertIn("{unacceptable_type,signedint}", self.problem(x_single_active_consumer=1))

    def test_reports_the_first_invalid_argument_in_RabbitMQs_order(self) -> None:
        """The order of the table has no effect."""
        self.assertIn("'x-expires'", self.problem(x_max_length=-1, x_message_ttl=-1, x_expires=-1))

    def test_requires_an_exchange_for_a_dead_letter_routing_key(self) -> None:
        """An empty exchange is the default one."""
        read = read_queue_arguments("'q'", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": ""})
        self.assertEqual((read.dead_letter_exchange, read.dead_letter_routing_key), ("", ""))
        self.assertIn("unacceptable_type", self.problem(x_dead_letter_routing_key=1, x_dead_letter_exchange=""))

    def test_takes_a_length_of_zero_for_a_limit(self) -> None:
        """A queue with x-max-length 0 is bounded."""
        self.assertFalse(QueueArguments().bounded)
        self.assertTrue(QueueArguments(max_length=0).bounded)
        self.assertTrue(QueueArguments(max_length_bytes=0).bounded)

    def test_a_quorum_queue_has_a_delivery_limit_as_in_RabbitMQ_4(self) -> None:
        """RabbitMQ 3 has none by default, and refuses a negative one."""
        quorum = {"x-queue-type": "quorum"}
        unlimited = {**quorum, "x-delivery-limit": -1}
        found = [read_queue_arguments("'q'", table).delivery_limit for table in (quorum, unlimited, {})]
        self.assertEqual(found, [20, None, None])
        self.assertIsNone(read_queue_arguments("'q'", quorum, RABBITMQ_3).delivery_limit)
        with self.assertRaisesRegex(ProtocolError, "value_negative,-1"):
            read_queue_arguments("'q'", unlimited, RABBITMQ_3)

    def test_accepts_a_consumer_timeout_and_ignores_it(self) -> None:
        """RabbitMQ 3.10 does the same, also when the queue is declared again with another value."""
        self.assertEqual(read_queue_arguments("'q'", {"x-consumer-timeout": 2500}), QueueArguments())
        self.assertNotIn("x-consumer-timeout", COMPARED)


class OtherTests(SynchronousTestCase):
    """Arguments of exchanges, bindings and consumers."""

    def test_accepts_the_known_kinds_of_x_match(self) -> None:
        """The default is all."""
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

    def test_accepts_any_whole_number_as_consumer_priority(self) -> None:
        """The default is 0."""
        self.assertEqual([check_priority("'q'", {}), check_priority("'q'", {"x-priority": -7})], [0, -7])
        for value in (True, "1", 1.5, None):
            self.assertRaises(ProtocolError, check_priority, "'q'", {"x-priority": value})

    def test_requires_a_string_for_the_alternate_exchange(self) -> None:
        """The argument is optional."""
        check_alternate("'x'", {})
        check_alternate("'x'", {"alternate-exchange": "rest"})
        with self.assertRaises(ProtocolError) as raised:
            check_alternate("'x'", {"alternate-exchange": None})
        self.assertIn("invalid type 'void' for arg 'alternate-exchange' in exchange 'x'", raised.exception.text)

    def test_reports_what_is_not_equivalent(self) -> None:
        """Properties by their values, arguments with their types."""
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

    def test_names_types_as_RabbitMQ_does(self) -> None:
        """Every type of a field has a name."""
        moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
        values: list[Any] = [True, 1, "", b"", 1.0, [], {}, moment, Decimal(1), None]
        found = [type_name(value) for value in values]
        expected = "bool signedint longstr binary double array table timestamp decimal void"
        self.assertEqual(found, expected.split())
