"""Hostile peers, one trick each: tricks that once harmed other clients, or nearly did."""

from __future__ import annotations

from collections import deque
from math import factorial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.python import log
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.properties import encode_properties
from rpc.broker.exchange import topic_matches
from rpc.broker.limits import DEAD_LETTERS_PER_PASS
from rpc.broker.message import Message
from rpc.broker.ready import Entry, ReadyMessages
from rpc.messages import Properties
from tests.unit.amqp.peer import method
from tests.unit.broker.hostile_case import REPLY_TO, SERVICE, HostileCase, contents
from tests.unit.broker.peer import FRAME_MAX, Client, publish

LONG = "é" * 127
LARGEST = FRAME_MAX - 8 - 12
"""Bytes of properties that just fit a frame."""


def full_properties(**more: Any) -> bytes:
    """Properties that just fit a frame."""
    short = encode_properties(Properties(headers={"x": ""}, **more))
    return encode_properties(Properties(headers={"x": "x" * (LARGEST - len(short))}, **more))


class HostileTests(HostileCase):
    """A logged-in client with a channel."""

    def setUp(self) -> None:
        super().setUp()
        self.hostile = self.new_client()

    def new_client(self, **limits: Any) -> Client:
        """A client with channel 1."""
        client = Client(self.broker).login(**limits)
        client.channel()
        return client

    def declare_exchange(self, name: str, *, auto_delete: bool = False, alternate: str = "") -> None:
        """Declare a fanout exchange."""
        flags = (False, False, auto_delete, False, False)
        self.hostile.call(1, "exchange.declare", 0, name, "fanout", *flags, {"alternate-exchange": alternate})

    def test_cuts_error_texts_at_255_bytes(self) -> None:
        """Between characters. Names that are not UTF-8 are returned unchanged."""
        for name, shown in ((LONG, "é" * 116), ("\udcff" * 255, ""), ("a" + LONG, "a" + "é" * 116)):
            closed = self.hostile.call(1, "queue.declare", 0, name, True, False, False, False, False, {})
            self.assertEqual(closed.args[:2], (404, f"NOT_FOUND - no queue '{shown}"))
            self.hostile.send(1, "channel.close-ok")
            self.hostile.channel()
        for text in (LONG, "\udcff" * 100):
            closed = Client(self.broker).login().call(1, "channel.open", text)
            self.assertEqual(closed.name, "channel.open-ok")
        self.assert_unharmed()

    def test_cuts_the_error_text_of_a_connection(self) -> None:
        """With a long name of a virtual host."""
        hostile = Client(self.broker)
        self.assertRaises(AssertionError, hostile.login, vhost=LONG)
        self.assert_nothing_left(hostile, self.hostile)

    def test_escapes_names_in_the_log(self) -> None:
        """A peer cannot end a line of the log, or make it undecodable."""
        lines: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            lines.append(log.textFromEventDict(event) or "")

        log.addObserver(observe)
        self.addCleanup(log.removeObserver, observe)
        self.hostile.protocol.name = "a\nb"
        self.hostile.call(1, "basic.cancel", "", False)
        self.hostile.call(1, "tx.select")
        self.assertRaises(AssertionError, Client(self.broker).login, vhost="\udcff\n")
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertTrue(line.isprintable() and line.encode(), line)

    def test_deletes_a_long_chain_of_auto_delete_exchanges(self) -> None:
        """With its last binding, and without recursion."""
        count = 2000
        for number in range(count):
            self.declare_exchange(f"e{number}", auto_delete=True)
        for number in range(count - 1):
            self.hostile.call(1, "exchange.bind", 0, f"e{number + 1}", f"e{number}", "", False, {})
        self.hostile.declare(1, "q")
        self.hostile.call(1, "queue.bind", 0, "q", f"e{count - 1}", "", False, {})
        self.assertEqual(self.hostile.call(1, "queue.delete", 0, "q", False, False, False).name, "queue.delete-ok")
        self.assertNotIn("e0", self.broker.vhosts["/"].exchanges)
        self.assert_nothing_left(self.hostile)

    def test_routes_through_cycles_of_exchanges_once(self) -> None:
        """Bindings and alternate exchanges may form cycles."""
        for name, alternate in (("a", "b"), ("b", "a"), ("c", ""), ("d", "d")):
            self.declare_exchange(name, alternate=alternate)
        self.hostile.publish(1, "a", SERVICE, b"nowhere", mandatory=True)
        self.assertEqual(self.hostile.names()[0], "basic.return")
        for destination, source in (("a", "b"), ("b", "a"), ("a", "a"), ("c", "d"), ("d", "c")):
            self.hostile.call(1, "exchange.bind", 0, destination, source, "", False, {})
        for name in "abcd":
            self.hostile.publish(1, name, SERVICE, b"round and round")
        self.assert_nothing_left(self.hostile)

    def test_sends_no_confirm_behind_a_close(self) -> None:
        """The client has forgotten the channel by then."""
        for closing in (method(1, "channel.close", 200, "", 0, 0), method(0, "connection.close", 200, "", 0, 0)):
            hostile = self.new_client()
            hostile.call(1, "confirm.select", False)
            hostile.feed(publish(1, "", SERVICE) + closing)
            (name,) = hostile.names()
            self.assertIn(name, ("channel.close-ok", "connection.close-ok"))
        self.assert_unharmed()

    def test_delivers_a_burst_of_replies_to_a_caller_that_reads(self) -> None:
        """More than a transport buffers."""
        caller = self.new_client()
        caller.consume(1, REPLY_TO, no_ack=True)
        caller.written()
        caller.publish(1, "", SERVICE, properties=Properties(reply_to=REPLY_TO))
        (address,) = set(self.broker.vhosts["/"].reply_consumers) - {self.honest.address}
        for replies in ([b"%d" % number for number in range(3000)], [bytes(100_000)] * 20):
            self.hostile.protocol.dataReceived(b"".join(publish(1, "", address, reply) for reply in replies))
            self.assertEqual([body for _, _, body in contents(caller.written())], replies)
        self.assert_nothing_left(self.hostile, caller)

    def test_drops_messages_to_a_forged_reply_address(self) -> None:
        """An unknown address is unroutable. A message to another client's address is one more reply."""
        self.hostile.consume(1, REPLY_TO, no_ack=True)
        mine = {*self.broker.vhosts["/"].reply_consumers} - {self.honest.address}
        self.hostile.send(1, "basic.cancel", "", True)
        for tag in [self.hostile.written()[0].args[0]]:
            self.hostile.call(1, "basic.cancel", tag, False)
        for address in (*mine, REPLY_TO, f"{REPLY_TO}.", f"{REPLY_TO}.forged", f"{REPLY_TO}.\udcff"):
            self.hostile.publish(1, "", address, b"forged", mandatory=True)
            self.assertEqual(self.hostile.names()[:1], ["basic.return"], address)
        self.hostile.publish(1, "", self.honest.address, b"forged", properties=b"\xff\xff")
        self.assertEqual(self.hostile.names(), ["connection.close"])
        self.assertEqual(contents(self.honest.client.written()), [])
        self.assert_nothing_left(self.hostile)

    def test_drops_a_message_whose_properties_outgrow_a_frame(self) -> None:
        self.hostile.declare(
            1, "old", {"x-message-ttl": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": SERVICE}
        )
        self.hostile.publish(1, "", "old", properties=full_properties())
        self.hostile.consume(1, REPLY_TO, no_ack=True)
        self.hostile.publish(1, "", SERVICE, properties=full_properties(reply_to=REPLY_TO))
        self.clock.advance(1)
        self.assert_unharmed()
        small = self.new_client(frame_max=4096)
        small.declare(1, "small")
        for no_ack in (False, True):
            small.consume(1, "small", f"{no_ack}", no_ack=no_ack)
            self.hostile.publish(1, "", "small", b"large", properties=full_properties())
            self.hostile.publish(1, "", "small", b"good")
            self.assertEqual([body for _, _, body in contents(small.written())], [b"good"])
            small.send(1, "basic.cancel", f"{no_ack}", True)
        self.hostile.publish(1, "", "small", b"large", properties=full_properties())
        self.hostile.publish(1, "", "small", b"good")
        self.assertEqual(small.call(1, "basic.qos", 0, 0, False).name, "basic.qos-ok")
        small.send(1, "basic.get", 0, "small", False)
        self.assertEqual([body for _, _, body in contents(small.written())], [b"good"])
        self.assert_nothing_left(self.hostile, small)

    def test_serves_others_between_dead_letters(self) -> None:
        """Queues that dead-letter everything to each other end, and the honest client is served meanwhile."""
        count = 7
        for number in range(count):
            self.hostile.declare(1, f"q{number}", {"x-max-length": 0, "x-dead-letter-exchange": "amq.fanout"})
            self.hostile.call(1, "queue.bind", 0, f"q{number}", "amq.fanout", "", False, {})
        self.hostile.publish(1, "", "q0")
        letters = sum(factorial(count - 1) // factorial(number) for number in range(count))
        passes = 1
        while self.broker.memory.held:
            self.honest.client.call(1, "basic.qos", 0, 0, False)
            passes += 1
        self.assertEqual(passes, letters // DEAD_LETTERS_PER_PASS + 1)
        self.clock.advance(0)
        self.assert_nothing_left(self.hostile)

    def test_accepts_a_made_up_history(self) -> None:
        """A valid x-death of a publisher is counted on; an invalid one is kept, or its message dropped."""
        self.hostile.declare(
            1, "old", {"x-max-length": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": SERVICE}
        )
        mine: dict[str, Any] = {"queue": "old", "reason": "maxlen"}
        deaths: Any
        for deaths in (
            "none",
            [None, 1, "x", [], {}],
            [{**mine, "count": count} for count in (2**63 - 1, -(2**63), "x", None, True)],
            [mine] * 3000 + [{"n": number} for number in range(3000)],
            [{**mine, "queue": [[{}]], "reason": {"a": 1.5}}],
        ):
            self.hostile.publish(1, "", "old", properties=Properties(headers={"x-death": deaths}))
            self.assert_unharmed()
        self.assert_nothing_left(self.hostile)

    def test_unused_priorities_cost_nothing(self) -> None:
        """A queue of 255 priorities has a lane only for those in use."""
        waiting = ReadyMessages(255)
        for priority in (0, 7, 255):
            waiting.append(entry(priority, priority))
        self.assertEqual([each.position for each in waiting], [255, 7, 0])
        self.assertEqual(sum(lane is not None for lane in waiting._lanes), 3)


def entry(position: int, priority: int = 0) -> Entry:
    """A message in a queue."""
    parts: list[bytes | None] = [None] * 14
    message = Message(b"\x00\x00", b"\x00\x00", b"", parts)
    message.priority = priority
    made: Any = Entry(None, message, position, None)  # type: ignore[arg-type]
    return made  # type: ignore[no-any-return]


class OrderTests(SynchronousTestCase):
    """Fast algorithms against hostile input equal their plain forms."""

    @given(
        st.lists(st.sampled_from(["a", "b", "#", "*", ""]), max_size=6),
        st.lists(st.sampled_from(["a", "b", ""]), max_size=6),
    )
    def test_matches_topics_as_their_definition_does(self, pattern: list[str], words: list[str]) -> None:
        """The fast algorithm equals the plain one."""

        def matches(pattern: list[str], words: list[str]) -> bool:
            if not pattern:
                return not words
            if pattern[0] == "#":
                return any(matches(pattern[1:], words[at:]) for at in range(len(words) + 1))
            return bool(words) and pattern[0] in ("*", words[0]) and matches(pattern[1:], words[1:])

        self.assertEqual(topic_matches(pattern, words), matches(pattern, words))

    @given(
        st.integers(0, 2),
        st.lists(st.tuples(st.sampled_from(["come", "take", "return"]), st.integers(0, 40)), max_size=60),
    )
    def test_requeues_messages_at_their_old_positions(self, priorities: int, steps: list[tuple[str, int]]) -> None:
        """Few or many."""
        waiting, taken = ReadyMessages(priorities), deque[Entry]()
        come = 0
        for what, number in steps:
            if what == "come":
                for _ in range(number):
                    waiting.append(entry(come, come % 4))
                    come += 1
            elif what == "take":
                taken += [waiting.pop() for _ in range(min(number, waiting.count))]
            else:
                taken.rotate(number)
                waiting.requeue([taken.pop() for _ in range(min(number, len(taken)))])
            order = [(-min(each.message.priority, priorities), each.position) for each in waiting]
            self.assertEqual((order, len(order)), (sorted(order), waiting.count))
