"""Channels, exchanges, queues, bindings and consumers count against a limit of the broker."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from rpc.broker.limits import Limits
from tests.unit.amqp.peer import method
from tests.unit.broker.definition_walk import size_of_definitions
from tests.unit.broker.hostile_case import HostileCase
from tests.unit.broker.peer import Client, publish

LIMIT = 300_000

Making = Callable[[int], bytes]

LONG = "x" * 200
TABLE = {f"name {number}": [LONG, {"nested": number}] for number in range(20)}


def declare_queue(name: str, table: dict[str, Any] | None = None, *, exclusive: bool = False) -> bytes:
    """The method, without an answer."""
    return method(1, "queue.declare", 0, name, False, False, exclusive, False, True, table or {})


def declare_exchange(name: str, table: dict[str, Any] | None = None) -> bytes:
    """The method, without an answer."""
    return method(1, "exchange.declare", 0, name, "topic", False, False, False, False, True, table or {})


def bind(exchange: str, key: str, table: dict[str, Any] | None = None) -> bytes:
    """The method, without an answer: bind the queue "q"."""
    return method(1, "queue.bind", 0, "q", exchange, key, True, table or {})


def consume(tag: str) -> bytes:
    """The method, without an answer: consume from the queue "q"."""
    return method(1, "basic.consume", 0, "q", tag, False, False, False, True, {})


MAKING: dict[str, Making] = {
    "queues": lambda number: declare_queue(f"q{number}"),
    "exclusive queues": lambda number: declare_queue(f"q{number}", exclusive=True),
    "queues with long names": lambda number: declare_queue(f"{number}{LONG}"),
    "queues with timers": lambda number: declare_queue(f"q{number}", {"x-expires": 10**9, "x-message-ttl": 10}),
    "queues with arguments": lambda number: declare_queue(f"q{number}", TABLE),
    "exchanges": lambda number: declare_exchange(f"e{number}"),
    "exchanges with arguments": lambda number: declare_exchange(f"e{number}", TABLE),
    "direct bindings": lambda number: bind("amq.direct", f"{number}"),
    "long bindings": lambda number: bind("amq.direct", f"{number}{LONG}"),
    "patterns": lambda number: bind("amq.topic", f"{number}." + "a.#." * 50 + "#"),
    "fanout bindings": lambda number: bind("amq.fanout", "", {"number": number}),
    "headers bindings": lambda number: bind("amq.headers", "", {"number": number, **TABLE}),
    "consumers": lambda number: consume(f"c{number}"),
    "consumers with long tags": lambda number: consume(f"{number}{LONG}"),
}


class DefinitionCase(HostileCase):
    """A client with a channel and a queue, beside the honest one."""

    def restart(self, limit: int) -> None:
        self.restart_broker(limits=Limits(definitions=limit))
        self.hostile = self.new_client()

    def new_client(self) -> Client:
        client = Client(self.broker).login()
        client.channel()
        client.feed(declare_queue("q"))
        return client


class LimitTests(DefinitionCase):
    """Refusals and exceptions at the limit."""

    def test_refuses_definitions_above_the_limit(self) -> None:
        """406 for each kind. The others go on, and all is given back in the end."""
        for name, make in MAKING.items():
            self.restart(LIMIT)
            for number in count():
                self.assertLess(number, 1000, name)
                self.hostile.feed(make(number))
                self.assertLessEqual(self.broker.memory.definitions, LIMIT)
                self.assertEqual(self.broker.memory.definitions, size_of_definitions(self.broker), name)
                frames = self.hostile.written()
                if frames:
                    break
            self.assertEqual([(each.name, each.args[0]) for each in frames], [("channel.close", 406)], name)
            self.assertIn("the limit of 300000 bytes for definitions in the broker is reached", frames[0].args[1])
            self.assert_nothing_left(self.hostile)

    def test_a_refused_queue_leaves_nothing(self) -> None:
        """No timer, and nothing in the account."""
        self.restart(100_000)
        held = self.broker.memory.definitions
        self.hostile.feed(declare_queue("q2", {"x-expires": 1000, "long": "x" * 100_000}))
        self.assertEqual([(each.name, each.args[0]) for each in self.hostile.written()], [("channel.close", 406)])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.broker.memory.definitions, held)
        self.assertNotIn("q2", self.broker.vhosts["/"].queues)

    def test_refuses_channels_above_the_limit(self) -> None:
        """The connection is closed (506): there is no channel to close."""
        self.restart(LIMIT)
        for number in range(2, 2000):
            self.hostile.feed(method(number, "channel.open", ""))
            frame = self.hostile.written()[-1]
            if frame.name != "channel.open-ok":
                break
        self.assertEqual((frame.name, frame.args[0]), ("connection.close", 506))
        self.assertLessEqual(self.broker.memory.definitions, LIMIT)
        self.assert_nothing_left(self.hostile)

    def test_what_exists_already_is_not_refused(self) -> None:
        """At the limit, equivalent declarations and bindings succeed, and so do methods that define nothing."""
        self.restart(LIMIT)
        self.hostile.feed(declare_exchange("e"), bind("e", "k"))
        self.broker.memory.define("fill the account", LIMIT - self.broker.memory.definitions)
        self.hostile.feed(declare_exchange("e"), declare_queue("q"), bind("e", "k"), publish(1, "e", "k"))
        self.hostile.send(1, "basic.get", 0, "q", True)
        self.assertEqual(self.hostile.names()[0], "basic.get-ok")
        self.assert_unharmed()
        self.assertEqual(self.hostile.call(1, "queue.declare", 0, "", *[False] * 5, {}).args[0], 406)

    def test_a_refused_queue_leaves_no_timer(self) -> None:
        """It was never there."""
        self.restart(LIMIT)
        self.broker.memory.define("fill the account", LIMIT - self.broker.memory.definitions)
        self.hostile.feed(declare_queue("other", {"x-expires": 1000}))
        self.assertEqual(self.hostile.names(), ["channel.close"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_deletions_give_back_what_they_end(self) -> None:
        """Queues with consumers and bindings, exchanges with bindings to and from them."""
        self.restart(LIMIT)
        before = self.broker.memory.definitions
        for _ in range(3):
            self.hostile.feed(declare_queue("r"), declare_exchange("e"), declare_exchange("f"), consume("c"))
            self.hostile.feed(bind("e", "a.#"), bind("e", "b"), bind("f", "a.#"))
            for one, other in ("ef", "fe", "ee"):
                self.hostile.feed(method(1, "exchange.bind", 0, one, other, "x.#", True, {}))
            self.hostile.feed(method(1, "exchange.unbind", 0, "e", "f", "x.#", True, {}))
            self.assertEqual(self.broker.memory.definitions, size_of_definitions(self.broker))
            self.hostile.feed(method(1, "exchange.delete", 0, "e", False, True))
            self.assertEqual(self.broker.memory.definitions, size_of_definitions(self.broker))
            self.hostile.feed(*(method(1, "queue.delete", 0, name, False, False, True) for name in "qr"))
            self.hostile.feed(method(1, "exchange.delete", 0, "f", False, True), declare_queue("q"))
        self.assertEqual(self.broker.memory.definitions, before)
        self.assert_nothing_left(self.hostile)


class EstimateTests(DefinitionCase):
    """The estimates, compared with the memory that Python allocates."""

    @pytest.mark.slow
    def test_no_definition_takes_more_than_its_estimate(self) -> None:
        for name, make in MAKING.items():
            self.restart(100_000_000)
            data = [make(number) for number in range(300)]
            self.hostile.feed(make(1000))  # caches that are filled once
            before = self.broker.memory.definitions
            gc.collect()
            tracemalloc.start()
            try:
                self.hostile.feed(*data)
                taken = tracemalloc.get_traced_memory()[0]
            finally:
                tracemalloc.stop()
            self.assertEqual(self.hostile.names(), [], name)
            self.assertLess(taken, self.broker.memory.definitions - before, name)

    def test_no_channel_takes_more_than_its_estimate(self) -> None:
        """With a consumer of direct replies, which counts as a part of it."""
        self.restart(100_000_000)
        data = [
            method(number, "channel.open", "")
            + method(number, "basic.consume", 0, "amq.rabbitmq.reply-to", LONG, False, True, False, True, {})
            for number in range(2, 302)
        ]
        before = self.broker.memory.definitions
        tracemalloc.start()
        try:
            for each in data:
                self.hostile.feed(each)
                self.hostile.raw()
            taken = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        self.assertLess(taken, self.broker.memory.definitions - before)

    def test_no_queue_takes_more_than_its_estimate_with_all_its_priorities_in_use(self) -> None:
        """Each priority that was in use once keeps some memory."""
        self.restart(100_000_000)
        data = [declare_queue(f"q{number}", {"x-max-priority": 255}) for number in range(20)]
        data += [
            publish(1, "", f"q{number}", properties=b"\x08\x00" + bytes([priority]))
            for number in range(20)
            for priority in range(256)
        ]
        purges = [method(1, "queue.purge", 0, f"q{number}", True) for number in range(20)]
        before = self.broker.memory.definitions
        tracemalloc.start()
        try:
            self.hostile.feed(*data)
            self.hostile.feed(*(method(1, "basic.get", 0, "q0", True) for _ in range(256)))
            self.hostile.raw()
            self.hostile.feed(*purges)
            taken = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        self.assertLess(taken, self.broker.memory.definitions - before)
