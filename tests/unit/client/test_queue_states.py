"""Questions about queues whose calls get no reply: how many there are, and that no call waits for an answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.defer import Deferred, fail

from rpc.client.queue_counts import QueueCounts
from rpc.client.queue_states import INTERVAL, LONGEST_LEAD, MOST_AT_ONCE, QueueState, QueueStates, lead_of
from rpc.errors import AMQPError, CallTimedOut, ChannelClosed
from tests.unit.amqp.peer import method, outcome_of
from tests.unit.client.caller_in_memory import Calculator, RequestTestCase

TIMEOUT = 10.0


class QueueStatesTests(RequestTestCase):
    """A client whose calls are not answered."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.caller.client(timeout=TIMEOUT)

    def calls(self, count: int) -> list[list[Any]]:
        """Make calls; return their outcomes."""
        fired = [outcome_of(self.client.add(1, 2)) for _ in range(count)]
        self.wire.take()
        return fired

    def questions(self) -> list[int]:
        """Return the channels that the client has opened to ask, since the last time."""
        return [frame.channel for frame in self.wire.peer.written() if frame.name == "channel.open"]

    def test_asks_once_for_many_calls(self) -> None:
        """Their errors have the answer. The channel is closed."""
        fired = self.calls(100)
        self.wire.clock.advance(TIMEOUT - LONGEST_LEAD - 0.1)
        self.assertEqual(self.questions(), [])
        self.wire.clock.advance(0.15)
        (channel,) = self.questions()
        self.wire.peer.feed(method(channel, "channel.open-ok", b""))
        self.wire.answer()
        ((_, queue, passive, *_),) = [args for name, args in self.wire.methods if name == "queue.declare"][-1:]
        self.assertEqual((queue, passive), ("rpc.Calculator", True))
        self.assertIn("channel.close", [name for name, _ in self.wire.methods])
        self.wire.clock.advance(LONGEST_LEAD)
        for outcome in fired:
            self.assertIn("no worker consumes the queue", self.assert_fails(outcome, CallTimedOut))

    def asked(self, **options: Any) -> list[str]:
        """Make a call that is not answered. Return the queues that the broker is asked about."""
        self.wire.methods.clear()
        fired = outcome_of(self.caller.client(timeout=TIMEOUT, **options).add(1, 2))
        self.wire.take()
        self.wire.clock.advance(TIMEOUT - LONGEST_LEAD + 0.02)
        for channel in self.questions():
            self.wire.peer.feed(method(channel, "channel.open-ok", b""))
        self.wire.answer()
        self.wire.clock.advance(LONGEST_LEAD)
        text = self.assert_fails(fired, CallTimedOut)
        queues = [args[1] for name, args in self.wire.methods if name == "queue.declare"]
        self.assertEqual("consumes the queue" in text, bool(queues), text)
        return queues

    def test_asks_about_the_queue_that_the_client_names(self) -> None:
        """Without a name, about that of the service with the default exchange. A broadcast and a named worker have
        another queue.
        """
        for options, queues in (
            ({"name": "A"}, ["rpc.A"]),
            ({"name": "B", "queue": "work"}, ["work"]),
            ({"name": "C", "queue": "other", "exchange": "rpc-C"}, ["other"]),
            ({"name": "D", "exchange": "rpc-D"}, []),
            ({"name": "E@worker", "queue": "q"}, []),
            ({"name": "F", "queue": "q", "exchange": "rpc.broadcast"}, []),
        ):
            given: dict[str, Any] = options
            self.assertEqual(self.asked(**given), queues, options)

    def test_does_not_wait_for_an_answer(self) -> None:
        """The broker never answers, and is not asked again meanwhile."""
        self.wire.methods.clear()
        self.wire.silent_methods.add("channel.open")
        for _ in range(3):
            fired = self.calls(2)
            self.wire.clock.advance(TIMEOUT - 0.02)
            self.assertEqual(fired, [[], []])
            self.wire.clock.advance(0.03)
            for outcome in fired:
                self.assertTrue(self.assert_fails(outcome, CallTimedOut).endswith("no reply before the deadline"))
        self.wire.answer()
        self.assertEqual([name for name, _ in self.wire.methods].count("channel.open"), 1)

    def test_asks_about_a_service_once_a_second(self) -> None:
        """A call is made each tenth of a second, for three seconds."""
        asked = 0
        for _ in range(30):
            self.calls(1)
            self.wire.clock.advance(0.1)
        self.wire.clock.advance(TIMEOUT - 3.0 - LONGEST_LEAD)
        for _ in range(30):
            for channel in self.questions():
                asked += 1
                self.wire.peer.feed(method(channel, "channel.open-ok", b""))
                self.wire.answer()
            self.wire.clock.advance(0.1)
        self.assertIn(asked, range(2, 2 + int(3 / INTERVAL)))

    def test_asks_about_few_services_at_once(self) -> None:
        """Each question takes a channel, which other callers need."""
        for number in range(50):
            self.caller.client(timeout=TIMEOUT, name=f"S{number}").add(1, 2)
        self.wire.take()
        self.wire.clock.advance(TIMEOUT - LONGEST_LEAD + 0.02)
        channels = self.questions()
        self.assertEqual(len(channels), MOST_AT_ONCE)
        for channel in channels:
            self.wire.peer.feed(method(channel, "channel.open-ok", b""))
        self.wire.answer()
        self.assertEqual(self.caller.subject._queue_states._unanswered, 0)

    def test_asks_again_after_a_question_that_failed(self) -> None:
        """There was no free channel. A refusal, however, would come again."""
        for error, asked in ((AMQPError("no channel is free"), 2), (ChannelClosed(404, "no queue"), 1)):
            states = QueueStates(cast(Any, self.caller.link), self.wire.clock)
            opened: list[Deferred[Any]] = []

            def open_channel(opened: list[Deferred[Any]] = opened, error: AMQPError = error) -> Deferred[Any]:
                opened.append(fail(error))
                return opened[-1]

            self.patch(self.caller.link, "connection", SimpleNamespace(blocked=None, open_channel=open_channel))
            for _ in range(4):
                states.ask("rpc.Calculator")
                self.wire.clock.advance(INTERVAL / 2 + 0.01)
            self.assertEqual(len(opened), asked)

    def test_does_not_ask_about_calls_that_are_answered(self) -> None:
        """The usual case."""
        fired = outcome_of(self.client.ping())
        self.caller.reply(self.request(), Calculator.ping_result())
        self.assertEqual(fired, [None])
        self.wire.clock.advance(2 * TIMEOUT)
        self.assertEqual(self.questions(), [])

    def test_the_lead_is_a_part_of_short_timeouts(self) -> None:
        """A call that is answered in most of its time costs no question."""
        self.assertEqual([lead_of(timeout) for timeout in (0.1, 1.0, 30.0)], [0.025, 0.25, LONGEST_LEAD])

    def test_the_words_for_each_state(self) -> None:
        """Singular and plural."""
        words = {
            (0, 0): "no worker consumes the queue q; 0 requests wait in it",
            (0, 1): "no worker consumes the queue q; 1 request waits in it",
            (1, 12): "1 worker consumes the queue q; 12 requests wait in it",
            (3, 2): "3 workers consume the queue q; 2 requests wait in it",
        }
        for (consumers, ready), text in words.items():
            self.assertEqual(str(QueueState(0.0, QueueCounts("q", ready, consumers))), text)
