"""Parts of the broker without a connection: exchanges, round-robin, timers, messages, arguments, dead letters."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.fields import (
    LongLong,
    decode_table,
    encode_field,
    encode_short_string,
    encode_table,
    join_table,
    split_table,
)
from rpc.amqp.codec.properties import decode_properties, encode_properties, join_properties, split_properties
from rpc.broker.arguments import QueueArguments, read_queue_arguments
from rpc.broker.compatibility import RABBITMQ_4
from rpc.broker.dead_letters import dead_letter, queues_of_cycle
from rpc.broker.equivalence import check_equivalent_argument
from rpc.broker.exchange import DIRECT, HEADERS, MATCHES, Exchange, headers_match, topic_matches, words_of
from rpc.broker.memory import Memory
from rpc.broker.message import Message
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.round_robin import RoundRobin
from rpc.broker.timer import Timer
from rpc.errors import CodecError
from rpc.messages import Properties

ROUTING = encode_short_string("x") + encode_short_string("k")

words = some.lists(some.sampled_from(["a", "b", ""]), max_size=4).map(".".join)
values = some.one_of(some.booleans(), some.integers(-(2**63), 2**63 - 1), some.text(), some.none(), some.binary())
tables = some.dictionaries(some.text(max_size=20), values, max_size=5)


def message(**properties: Any) -> Message:
    """A message to exchange x with key k."""
    encoded = encode_properties(Properties(**properties))
    return Message(ROUTING, encoded, b"body", split_properties(encoded))


class ExchangeTests(SynchronousTestCase):
    """Which bindings match."""

    def test_a_direct_exchange_matches_equal_keys(self) -> None:
        """A repeated binding has no effect; other arguments make another binding."""
        exchange = Exchange("x", DIRECT, True, False, False, {})
        one: Any = Exchange("one", DIRECT, True, False, False, {})
        self.assertTrue(exchange.bind(one, "k", {}))
        self.assertFalse(exchange.bind(one, "k", {}))
        self.assertTrue(exchange.bind(one, "k", {"a": 1}))
        self.assertEqual([*exchange.matching(["k"], {})], [one])
        self.assertEqual([*exchange.matching(["other"], {})], [])
        self.assertFalse(exchange.unbind(one, "k", {"a": 2}))
        self.assertTrue(exchange.unbind(one, "k", {"a": 1}))
        self.assertTrue(exchange.in_use)
        self.assertTrue(exchange.unbind(one, "k", {}))
        self.assertFalse(exchange.in_use)

    @given(some.lists(some.sampled_from(["a", "b", "*", "#"]), max_size=5), words)
    def test_topic_patterns_equal_regular_expressions(self, pattern: list[str], key: str) -> None:
        expression = "".join(
            {"*": r"(?:[^.]*\.)", "#": r"(?:[^.]*\.)*"}.get(word, re.escape(word) + r"\.") for word in pattern
        )
        text = "".join(f"{word}." for word in words_of(key))
        self.assertIs(topic_matches(pattern, words_of(key)), re.fullmatch(expression, text) is not None)

    def test_headers_exchanges_match_all_or_any(self) -> None:
        """Names with x- count only for the kinds with-x. A void argument matches any value."""
        wanted = {"a": 1, "b": None, "x-c": "c"}
        for headers, matches in (
            ({"a": 1, "b": "anything", "x-c": "c"}, ["all", "any", "all-with-x", "any-with-x"]),
            ({"a": 1, "b": "anything"}, ["all", "any", "any-with-x"]),
            ({"a": 1}, ["any", "any-with-x"]),
            ({"x-c": "c"}, ["any-with-x"]),
            ({"a": 2}, []),
            ({"a": True}, []),
            ({}, []),
        ):
            found = [how for how in MATCHES if headers_match({**wanted, "x-match": how}, headers)]
            self.assertEqual(sorted(found), sorted(matches), headers)
        self.assertTrue(headers_match({}, {}))
        self.assertEqual(Exchange("x", HEADERS, True, False, False, {}).type, "headers")


class Candidate:
    """A consumer, as far as the choice of the next one needs it."""

    def __init__(self, name: str, priority: int, credit: int) -> None:
        self.name = name
        self.priority = priority
        self.credit = credit
        self.in_rotation = False

    def can_take(self) -> bool:
        return self.credit > 0


class RoundRobinTests(SynchronousTestCase):
    """Round-robin over candidates."""

    def test_a_candidate_without_credit_leaves_the_rotation(self) -> None:
        """It returns behind the others."""
        a, b, c = (Candidate(name, 0, credit) for name, credit in (("a", 3), ("b", 1), ("c", 3)))
        rotation: RoundRobin[Candidate] = RoundRobin()
        for candidate in (a, b, c):
            rotation.add(candidate)
        order = []
        while (following := rotation.next()) is not None:
            following.credit -= 1
            order.append(following.name)
        self.assertEqual(("".join(order), a.in_rotation, b.in_rotation), ("abcacac", False, False))
        b.credit = 1
        rotation.add(b)
        self.assertIs(rotation.next(), b)

    @given(some.lists(some.tuples(some.integers(-2, 2), some.integers(0, 3)), max_size=8))
    def test_the_highest_priority_comes_first(self, consumers: list[tuple[int, int]]) -> None:
        """Each candidate gets as much as it can take."""
        rotation: RoundRobin[Candidate] = RoundRobin()
        made = [Candidate(str(number), priority, credit) for number, (priority, credit) in enumerate(consumers)]
        for candidate in made:
            rotation.add(candidate)
        served = 0
        while (following := rotation.next()) is not None:
            self.assertEqual(following.priority, max(each.priority for each in made if each.credit))
            following.credit -= 1
            served += 1
        self.assertEqual((served, len(rotation)), (sum(credit for _, credit in consumers), 0))

    def test_a_removed_candidate_is_not_returned(self) -> None:
        """Removing it again has no effect."""
        a, b = Candidate("a", 0, 9), Candidate("b", 1, 9)
        rotation: RoundRobin[Candidate] = RoundRobin()
        rotation.add(a)
        rotation.add(b)
        for _ in range(2):
            rotation.remove(b)
        self.assertIs(rotation.next(), a)


class TimerTests(SynchronousTestCase):
    """A timer, on a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.fired: list[float] = []
        self.timer = Timer(self.clock, lambda: self.fired.append(self.clock.seconds()))

    def test_a_later_time_leaves_the_delayed_call_alone(self) -> None:
        """The timer fires once, at the latest setting."""
        self.timer.start(1.0)
        for _ in range(10):
            self.clock.advance(0.5)
            self.timer.start(1.0)
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.fired, [])
        self.clock.pump([0.25] * 8)
        self.assertEqual((self.fired, self.clock.getDelayedCalls()), ([6.0], []))

    def test_start_by_keeps_the_earlier_time(self) -> None:
        self.timer.start_by(5.0)
        self.timer.start_by(9.0)
        self.timer.start_by(2.0)
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.fired, [2.0])

    def test_a_stopped_timer_leaves_no_delayed_call(self) -> None:
        """It can be started again."""
        self.timer.start(1.0)
        self.timer.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.timer.start(1.0)
        self.clock.advance(1.0)
        self.assertEqual(self.fired, [1.0])


class MemoryTests(SynchronousTestCase):
    """The account, and its alarm."""

    def test_the_alarm_is_reported_once_each_time(self) -> None:
        """It begins above the limit, and ends at it. An operator's alarm lasts until the operator ends it."""
        told: list[bool] = []
        memory = Memory(100, 100, told.append)
        for size in (60, 60, 60):
            memory.take(size)
        memory.release(60)
        self.assertEqual(told, [True])
        memory.release(60)
        self.assertEqual((told, memory.held), ([True, False], 60))
        memory.force_alarm(True)
        memory.release(60)
        memory.force_alarm(False)
        self.assertEqual(told, [True, False, True, False])


class MessageTests(SynchronousTestCase):
    """Properties that the broker reads."""

    def test_rejects_expirations_in_RabbitMQs_words(self) -> None:
        """Valid ones are milliseconds in digits, up to ten years."""
        for text, milliseconds in (("0", 0), ("+5", 5), ("007", 7), ("315360000000", 315360000000)):
            self.assertEqual(message(expiration=text).expiration, milliseconds)
        for text, problem in (
            ("", "no_integer"),
            ("soon", "no_integer"),
            ("5s", '{leftover_string,"s"}'),
            ("-1", "{value_negative,-1}"),
            ("315360000001", "{value_too_large,315360000001}"),
        ):
            with self.assertRaises(ProtocolError) as raised:
                message(expiration=text)
            self.assertEqual(raised.exception.text, f"PRECONDITION_FAILED - invalid expiration '{text}': {problem}")

    def test_only_delivery_mode_2_is_persistent(self) -> None:
        """The default is 1."""
        persistent = {mode: message(delivery_mode=mode).persistent for mode in (None, 0, 1, 2, 3)}
        self.assertEqual([mode for mode, found in persistent.items() if found], [2])

    @given(tables, tables)
    def test_changed_headers_keep_everything_else(self, before: dict[str, Any], changes: dict[str, Any]) -> None:
        original = message(headers=before, expiration="5", app_id="é", priority=3)
        changed = original.changed(changes)
        elsewhere = original.changed(changes, routing=b"\x00\x00")
        self.assertEqual(dict(changed.decoded_headers()), before | changes)
        self.assertEqual((changed.expiration, elsewhere.expiration), (5, None))
        self.assertEqual((changed.priority, decode_properties(changed.properties).app_id), (3, "é"))
        self.assertEqual((elsewhere.exchange, elsewhere.routing_key), ("", ""))

    @given(tables)
    def test_a_table_split_and_joined_is_the_same(self, table: dict[str, Any]) -> None:
        """Its fields equal those that are encoded one by one."""
        encoded = encode_table(table)
        fields = split_table(encoded)
        self.assertEqual(join_table(fields), encoded)
        self.assertEqual(fields, {name: encode_field(value) for name, value in table.items()})

    def test_rejects_a_table_that_is_cut_short(self) -> None:
        encoded = encode_table({"a": 1, "b": "text"})
        for end in range(len(encoded)):
            self.assertRaises(CodecError, split_table, encoded[:end])

    def test_encodes_a_small_number_in_64_bits(self) -> None:
        """On request."""
        self.assertEqual(encode_field(LongLong(1)), b"l" + (1).to_bytes(8, "big"))
        self.assertEqual(decode_table(encode_table({"n": LongLong(1)}), 0)[0], {"n": 1})

    def test_properties_split_and_joined_are_the_same(self) -> None:
        for properties in (
            Properties(),
            Properties("t", "e", {"h": 1}, 2, 9, "c", "r", "5", "m", 7, "y", "u", "a", "l"),
        ):
            encoded = encode_properties(properties)
            self.assertEqual(join_properties(split_properties(encoded)), encoded)


class ArgumentTests(SynchronousTestCase):
    """The values of arguments."""

    def test_reads_known_arguments(self) -> None:
        """Others have no effect."""
        table = {"x-message-ttl": 5, "x-max-length": 3, "x-overflow": "reject-publish", "x-mine": [1]}
        expected = QueueArguments(message_ttl=5, max_length=3, overflow="reject-publish")
        self.assertEqual(read_queue_arguments("'q'", table), expected)

    def test_errors_name_the_argument(self) -> None:
        """In RabbitMQ's words."""
        for table, words_of_it in (
            ({"x-message-ttl": -1}, "invalid arg 'x-message-ttl' for queue 'q': {value_negative,-1}"),
            ({"x-expires": 0}, "{value_zero,0}"),
            ({"x-max-length": "3"}, '"expected integer, got longstr"'),
            ({"x-overflow": "drop-tail"}, "invalid_overflow"),
            ({"x-queue-type": "stream"}, "unsupported queue type 'stream'"),
            ({"x-dead-letter-routing-key": "k"}, "routing_key_but_no_dlx_defined"),
            ({"x-dead-letter-exchange": 5}, "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q'"),
        ):
            with self.assertRaises(ProtocolError) as raised:
                read_queue_arguments("'q'", table)
            self.assertIn(words_of_it, raised.exception.text)
            self.assertFalse(raised.exception.ends_connection)

    def test_arguments_of_another_type_are_not_equivalent(self) -> None:
        """The default queue type may be omitted."""
        check_equivalent_argument("queue 'q'", "x-queue-type", {}, {"x-queue-type": "classic"})
        check_equivalent_argument("queue 'q'", "x-max-length", {"x-max-length": 5}, {"x-max-length": 5})
        for current, received in (({"x-max-length": 5}, {"x-max-length": 5.0}), ({}, {"x-max-length": 5})):
            self.assertRaises(ProtocolError, check_equivalent_argument, "queue 'q'", "x-max-length", current, received)


class DeadLetterTests(SynchronousTestCase):
    """The history of a message."""

    def test_history_counts_each_queue_and_reason(self) -> None:
        """The latest is first; the first death stays."""
        dead = message(headers={"mine": 1}, expiration="5")
        for queue, reason in (("q", "expired"), ("q", "rejected"), ("q", "expired")):
            dead, keys = dead_letter(dead, queue, reason, 1000.9, "dlx", None, RABBITMQ_4)
        headers = dead.decoded_headers()
        told = [(death["queue"], death["reason"], death["count"]) for death in headers["x-death"]]
        self.assertEqual(told, [("q", "expired", 2), ("q", "rejected", 1)])
        first = headers["x-death"][0]
        self.assertEqual((first["exchange"], first["routing-keys"], first["original-expiration"]), ("x", ["k"], "5"))
        self.assertEqual(
            (int(first["time"].timestamp()), headers["x-first-death-queue"], headers["mine"]), (1000, "q", 1)
        )
        self.assertEqual((dead.exchange, dead.routing_key, keys, dead.expiration), ("dlx", "k", ["k"], None))

    def test_a_queues_routing_key_replaces_the_messages_keys(self) -> None:
        """CC is removed then."""
        dead, keys = dead_letter(message(headers={"CC": ["c"]}), "q", "maxlen", 0, "dlx", "own", RABBITMQ_4)
        self.assertEqual((dead.routing_key, keys, "CC" in dead.decoded_headers()), ("own", ["own"], False))
        dead, keys = dead_letter(message(headers={"CC": ["c"]}), "q", "maxlen", 0, "dlx", None, RABBITMQ_4)
        self.assertEqual((keys, dead.decoded_headers()["CC"]), (["k", "c"], ["c"]))

    def test_a_return_without_a_rejection_is_a_cycle(self) -> None:
        once, _ = dead_letter(message(), "a", "expired", 0, "", "b", RABBITMQ_4)
        twice, _ = dead_letter(once, "b", "expired", 0, "", "a", RABBITMQ_4)
        rejected, _ = dead_letter(once, "b", "rejected", 0, "", "a", RABBITMQ_4)
        found = [queue in queues_of_cycle(each) for each in (once, twice, rejected) for queue in ("a", "c")]
        self.assertEqual(found, [True, False, True, False, False, False])

    def test_a_made_up_history_does_no_harm(self) -> None:
        for forged in (5, ["text"], [{"queue": 5}], [{"queue": "q", "reason": "expired", "count": "many"}]):
            dead, _ = dead_letter(message(headers={"x-death": forged}), "q", "expired", 0, "", None, RABBITMQ_4)
            self.assertEqual(dead.decoded_headers()["x-death"][0]["count"], 1)
