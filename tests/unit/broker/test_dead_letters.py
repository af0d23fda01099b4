"""Dead letters alone: the bytes of a message's history, and its routing keys."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.fields import encode_short_string, split_table
from rpc.amqp.codec.properties import encode_properties, split_properties
from rpc.broker.compatibility import RABBITMQ_3, RABBITMQ_4
from rpc.broker.dead_letters import copied_keys, dead_letter, deaths_of, queues_of_cycle
from rpc.broker.message import Message
from rpc.broker.protocol_error import ProtocolError
from rpc.errors import CodecError
from rpc.messages import Properties


def message(properties: bytes | None = None, **headers: Any) -> Message:
    """A message to exchange x with key k."""
    encoded = properties or encode_properties(Properties(headers=headers or None))
    return Message(encode_short_string("x") + encode_short_string("k"), encoded, b"", split_properties(encoded))


class KeyTests(SynchronousTestCase):
    """Further keys."""

    def test_copies_CC_before_BCC(self) -> None:
        """Values that are no strings are skipped."""
        self.assertEqual(copied_keys({"BCC": ["c"], "CC": ["a", 5, "b", None]}), ["a", "b", "c"])
        self.assertEqual(copied_keys({"cc": ["a"]}), [])

    def test_rejects_CC_that_is_no_array(self) -> None:
        """The error names the type."""
        for name in ("CC", "BCC"):
            for value, kind in (("a", "longstr"), (None, "void"), ({}, "table")):
                with self.assertRaises(ProtocolError) as raised:
                    copied_keys({name: value})
                self.assertIn(f'{{unacceptable_type_in_header,"{name}",{kind}}}', raised.exception.text)


class HistoryTests(SynchronousTestCase):
    """The header x-death."""

    def test_encodes_counts_in_64_bits(self) -> None:
        """Also the counts of earlier deaths."""
        once, _ = dead_letter(message(), "q", "expired", 0, "", None, RABBITMQ_4)
        twice, _ = dead_letter(once, "other", "rejected", 0, "", None, RABBITMQ_4)
        assert twice.headers is not None
        field = split_table(twice.headers)["x-death"]
        self.assertEqual(field.count(b"\x05countl" + (1).to_bytes(8, "big")), 2)
        self.assertNotIn(b"\x05countI", field)

    def test_counts_repeated_deaths(self) -> None:
        """The time is that of the first death in a queue for a reason."""
        dead = message()
        for seconds in (10, 20, 30):
            dead, _ = dead_letter(dead, "q", "rejected", seconds, "", None, RABBITMQ_4)
        (death,) = deaths_of(dead.decoded_headers())
        self.assertEqual((death["count"], death["time"].timestamp()), (3, 10))

    def test_keeps_the_first_death(self) -> None:
        """Later deaths do not change the headers x-first-death."""
        dead, _ = dead_letter(message(), "a", "maxlen", 0, "dlx", "key", RABBITMQ_4)
        dead, _ = dead_letter(dead, "b", "rejected", 0, "", None, RABBITMQ_4)
        headers = dead.decoded_headers()
        found = [headers[f"x-first-death-{part}"] for part in ("queue", "reason", "exchange")]
        self.assertEqual(found, ["a", "maxlen", "x"])
        self.assertEqual([death["exchange"] for death in headers["x-death"]], ["dlx", "x"])
        self.assertEqual([death["routing-keys"] for death in headers["x-death"]], [["key"], ["k"]])

    def test_writes_the_last_death_as_RabbitMQ_4_does(self) -> None:
        """RabbitMQ 3 does not."""
        for version, expected in ((RABBITMQ_3, []), (RABBITMQ_4, ["rejected", "b", "dlx"])):
            dead, _ = dead_letter(message(), "a", "maxlen", 0, "dlx", "key", version)
            dead, _ = dead_letter(dead, "b", "rejected", 0, "", None, version)
            headers = dead.decoded_headers()
            found = [headers.get(f"x-last-death-{part}") for part in ("reason", "queue", "exchange")]
            self.assertEqual([each for each in found if each is not None], expected)

    def test_a_history_of_the_publishers_own_is_replaced_as_RabbitMQ_4_does(self) -> None:
        """RabbitMQ 3 goes on with it. Both go on with a history that they wrote."""
        deaths = [{"queue": "q", "reason": "rejected", "count": 7}]
        forged: dict[str, Any] = {"x-death": deaths, "x-first-death-queue": "mine"}
        for version, expected in ((RABBITMQ_3, (9, "mine")), (RABBITMQ_4, (2, "q"))):
            dead = message(**forged)
            for _ in range(2):
                dead, _ = dead_letter(dead, "q", "rejected", 0, "", None, version)
            headers = dead.decoded_headers()
            self.assertEqual((headers["x-death"][0]["count"], headers["x-first-death-queue"]), expected)

    def test_raises_an_error_for_malformed_headers(self) -> None:
        """The caller handles it."""
        broken = message(b"\x20\x00\x00\x00\x00\x03\x01a?")
        self.assertRaises(CodecError, dead_letter, broken, "q", "expired", 0, "", None, RABBITMQ_4)
        self.assertRaises(CodecError, queues_of_cycle, broken)

    def test_a_message_without_history_is_in_no_cycle(self) -> None:
        """Its headers have no x-death."""
        made_up: list[Any] = [None, [], {}, "q", [5], [{"queue": []}], [{"queue": 5}]]
        for forged in made_up:
            headers: dict[str, Any] = {"x-death": forged}
            self.assertEqual(queues_of_cycle(message(**headers)), set())
