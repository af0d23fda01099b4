"""The effort of routing: a peer's declarations do not make others' publishes slow, or fill the process."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from rpc.amqp.codec.properties import encode_properties
from rpc.broker.compatibility import RABBITMQ_3
from rpc.broker.dead_letters import _with
from rpc.broker.exchange import DIRECT, TOPIC, Exchange, topic_matches, words_of
from rpc.broker.publishing import MAX_CACHED_TARGETS
from rpc.broker.routing import MAX_EFFORT
from rpc.messages import Properties
from tests.unit.amqp.peer import method
from tests.unit.broker.hostile_case import HostileCase
from tests.unit.broker.peer import Client, publish
from tests.unit.logs import log_lines
from tests.unit.test_hot_path import count_functions

patterns = some.lists(some.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=7).map(".".join)
keys = some.lists(some.sampled_from(["a", "b", "*", "#"]), max_size=5).map(".".join)


class PatternTests(HostileCase):
    """A topic exchange alone."""

    def setUp(self) -> None:
        self.source = Exchange("x", TOPIC, False, False, False, {})
        self.queue: Any = Exchange("q", DIRECT, False, False, False, {})

    def test_repeated_hashes_count_as_one(self) -> None:
        """They match the same, and cost a word each."""
        self.source.bind(self.queue, "#." * 100 + "a.#.#.*", {})
        self.assertEqual(self.source.effort, 4)

    def test_keys_without_wildcards_are_not_searched(self) -> None:
        for number in range(100):
            self.source.bind(self.queue, f"a.{number}", {})
        self.assertEqual(self.source.effort, 0)
        self.assertEqual([*self.source.matching(["a.7"], {})], [self.queue])

    @given(some.lists(patterns, max_size=5, unique=True), keys)
    def test_matches_as_each_pattern_does(self, bound: list[str], key: str) -> None:
        """And the effort is zero when all bindings are removed."""
        source = Exchange("x", TOPIC, False, False, False, {})
        ends: dict[str, Any] = {pattern: Exchange(pattern, DIRECT, False, False, False, {}) for pattern in bound}
        for pattern, end in ends.items():
            source.bind(end, pattern, {})
        expected = {pattern for pattern in bound if topic_matches(words_of(pattern), words_of(key))}
        self.assertEqual({each.name for each in source.matching([key], {})}, expected)
        for pattern, end in ends.items():
            self.assertIsNotNone(source.unbind(end, pattern, {}))
        self.assertEqual((source.effort, [*source.matching([key], {})]), (0, []))


class PublishTests(HostileCase):
    """Publishes to a broker."""

    def new_client(self) -> Client:
        client = Client(self.broker).login()
        client.channel()
        client.declare(1, "q", exclusive=True)
        return client

    def test_refuses_further_routing_keys_that_would_take_too_long(self) -> None:
        """406, for the sender alone. A message with few of them is routed."""
        hostile = self.new_client()
        for number in range(100):
            hostile.send(1, "queue.bind", 0, "q", "amq.topic", "#.a" * 50 + f".{number}", True, {})
        effort = self.broker.vhosts["/"].exchanges["amq.topic"].effort
        self.assertGreater(effort, 3000)
        for count in (3, MAX_EFFORT // effort + 2):
            copies = encode_properties(Properties(headers={"CC": [f"{number}" for number in range(count)]}))
            hostile.publish(1, "amq.topic", "", properties=copies)
            answers = hostile.written()
            self.assertEqual(len(answers), count > 3)
        self.assertEqual((answers[0].name, answers[0].args[0]), ("channel.close", 406))
        self.assert_nothing_left(hostile)

    def test_repeated_routing_keys_count_once(self) -> None:
        hostile = self.new_client()
        hostile.send(1, "queue.bind", 0, "q", "amq.topic", "#.a", True, {})
        copies = encode_properties(Properties(headers={"CC": ["a"] * 10_000}))
        hostile.publish(1, "amq.topic", "a", properties=copies)
        self.assertEqual(self.broker.vhosts["/"].queues["q"].ready.count, 1)
        self.assert_nothing_left(hostile)

    def test_dead_letters_with_too_many_keys_are_lost(self) -> None:
        """The log says so, in one line a second."""
        hostile = self.new_client()
        lines = log_lines(self)
        for number in range(100):
            hostile.send(1, "queue.bind", 0, "q", "amq.topic", "#.a" * 50 + f".{number}", True, {})
        hostile.declare(1, "dying", {"x-max-length": 0, "x-dead-letter-exchange": "amq.topic"}, exclusive=True)
        copies = encode_properties(Properties(headers={"CC": [f"{number}" for number in range(400)]}))
        for _ in range(50):
            hostile.publish(1, "", "dying", properties=copies)
        self.assertEqual(len([line for line in lines if "of queue 'dying' is lost" in line]), 1)
        self.clock.advance(1)
        (last,) = [line for line in lines if "of queue 'dying' is lost" in line][1:]
        self.assertIn("48 more within 1 s", last)
        self.assertEqual(self.broker.memory.held, 0)
        self.assert_nothing_left(hostile)

    def test_routes_with_many_targets_are_not_cached(self) -> None:
        """Thousands of them, with thousands of targets each, would take hundreds of megabytes."""
        hostile = self.new_client()
        for number in range(MAX_CACHED_TARGETS + 1):
            hostile.publish(1, "amq.fanout", "key")
            name = hostile.declare(1, f"q{number}", exclusive=True)
            hostile.send(1, "queue.bind", 0, name, "amq.fanout", "", True, {})
        routes = self.broker.vhosts["/"].routes
        hostile.publish(1, "amq.fanout", "key")
        self.assertEqual(len(routes), 0)
        self.assertEqual(self.broker.vhosts["/"].queues[name].ready.count, 1)
        hostile.feed(method(1, "queue.delete", 0, name, False, False, True))
        hostile.publish(1, "amq.fanout", "key")
        self.assertEqual(len(routes), 1)
        self.assert_nothing_left(hostile)


class HeadersTests(HostileCase):
    """Headers that take long to decode: the broker decodes those that it needs, and no other ones."""

    def setUp(self) -> None:
        super().setUp()
        self.client = Client(self.broker).login()
        self.client.channel()

    def publish_counted(self, exchange: str, key: str, values: int, **headers: Any) -> int:
        """Publish a message with `headers` and an array of so many values; return the calls of Python functions."""
        properties = encode_properties(Properties(headers={**headers, "values": [None] * values}))
        chunk = publish(1, exchange, key, b"", properties=properties)
        return count_functions(lambda: self.client.feed(chunk)).total()

    def assert_same_effort(self, exchange: str, key: str, **headers: Any) -> None:
        """Check that publishing does not depend on the number of values that the broker does not need."""
        self.publish_counted(exchange, key, 10, **headers)  # fills the caches
        few, many = (self.publish_counted(exchange, key, values, **headers) for values in (10, 4000))
        self.assertEqual(few, many)

    def test_further_routing_keys(self) -> None:
        self.client.declare(1, "q", exclusive=True)
        self.assert_same_effort("", "nobody", CC=["q"], BCC=["q"])
        self.assertEqual(self.broker.vhosts["/"].queues["q"].ready.count, 3)

    def test_headers_exchanges(self) -> None:
        self.client.declare(1, "q", exclusive=True)
        self.client.send(1, "queue.bind", 0, "q", "amq.headers", "", True, {"a": 1})
        self.assert_same_effort("amq.headers", "", a=1)
        self.assertEqual(self.broker.vhosts["/"].queues["q"].ready.count, 3)

    def test_dead_letters(self) -> None:
        self.client.declare(1, "dead", exclusive=True)
        dying = {"x-max-length": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        self.client.declare(1, "dying", dying, exclusive=True)
        self.assert_same_effort("", "dying")
        self.assertEqual(self.broker.vhosts["/"].queues["dead"].ready.count, 3)

    def test_a_history_is_decoded_once_for_all_queues(self) -> None:
        """RabbitMQ 3 believes that of a publisher. It had been decoded for each queue."""
        self.broker.compatibility = RABBITMQ_3
        dying = {"x-max-length": 0, "x-dead-letter-exchange": "amq.fanout"}
        self.client.declare(1, "dying", dying, exclusive=True)
        efforts = []
        for targets in (1, 11):
            for number in range(targets):
                queue = self.client.declare(1, f"{targets} {number}", exclusive=True)
                self.client.send(1, "queue.bind", 0, queue, "amq.fanout", "", True, {})
            history: list[Any] = [{}] * 1000
            self.publish_counted("", "dying", 0, **{"x-death": history})
            efforts.append(self.publish_counted("", "dying", 0, **{"x-death": history}))
        self.assertLess(efforts[1] - efforts[0], 1000)


class DeathTests(HostileCase):
    """The history of a dead letter, which a publisher may have invented."""

    def test_repeated_pairs_become_one(self) -> None:
        """The others keep their number, reversed, as RabbitMQ has them."""
        mine = {"queue": "q", "reason": "expired", "count": 5}
        others: list[dict[str, Any]] = [{"queue": "q", "reason": "rejected"}, {"queue": "r", "reason": "expired"}]
        deaths = _with([others[0], mine, others[1], dict(mine)], {"queue": "q", "reason": "expired"})
        self.assertEqual(deaths, [{**mine, "count": 6}, others[1], others[0]])
