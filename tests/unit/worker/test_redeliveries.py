"""The worker's end when requests come again, take long, come from itself, or are not wanted any more."""

from __future__ import annotations

from typing import Any

import attrs
from thrift.Thrift import TApplicationException, TMessageType
from twisted.internet.defer import CancelledError, Deferred

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import Numbers, Work
from rpc.context import current_call
from rpc.envelope import CODECS, read_application_exception
from rpc.errors import ChannelClosed, ConnectionClosed, HeartbeatMissed
from rpc.messages import Properties
from rpc.topology import NESTED
from rpc.worker.republisher import Republisher
from rpc.worker.service import Deduplicate
from tests.unit.amqp.peer import method
from tests.unit.wire import Published
from tests.unit.worker.served import INSTANCE, OWN, QUARANTINE, SHARED
from tests.unit.worker.test_server import ServingTestCase

Calculator: Any = CalculatorStub
BINARY = CODECS["binary"]

QUARANTINE_QUEUE = "rpc.Calculator.quarantine"
DIRECT_KEY = f"Calculator@{INSTANCE}"


class AgainTestCase(ServingTestCase):
    """A service whose deliveries are of any queue, delivered before or not."""

    def request(
        self, name: str = "calculate", consumer: str = SHARED, *, again: bool = False, key: str = "key", **given: Any
    ) -> int:
        """Deliver a request, and return its tag."""
        arguments = {"calculate": (1, Work()), "add": (1, 2), "sum": (Numbers([]),)}.get(name, ())
        struct = getattr(Calculator, f"{name}_args")(*arguments)
        kind = TMessageType.ONEWAY if name == "zip" else TMessageType.CALL
        properties = Properties(**({"reply_to": "replies", "correlation_id": "c"} | given))
        key = DIRECT_KEY if consumer == OWN and key == "key" else key
        return self.wire.deliver(BINARY.encode(name, kind, 7, struct), properties, consumer, again, key)

    def acked(self) -> list[int]:
        """Return the tags acked since the last call, each as a number."""
        tags: list[int] = []
        for kind, tag, multiple in self.settled():
            self.assertEqual(kind, "ack")
            tags += range(self._lowest, tag + 1) if multiple else [tag]
            self._lowest = tag + 1 if multiple else self._lowest
        return tags

    _lowest = 1

    def exception(self, published: Published) -> TApplicationException:
        """Return the exception in a reply."""
        _, kind, _, start = BINARY.read_header(published.body)
        self.assertEqual(kind, TMessageType.EXCEPTION)
        return read_application_exception(BINARY, published.body, start)


class DeduplicationTests(AgainTestCase):
    """A call that is sent again is not run again."""

    def setUp(self) -> None:
        self.serve(deduplicate=Deduplicate(seconds=60.0), concurrency=4)

    def test_repeats_the_reply_to_a_repeated_request(self) -> None:
        """A repeated request gets the reply of the first, with properties of its own, and is acked."""
        first = self.request("add", message_id="m")
        body = self.reply().body
        second = self.request("add", message_id="m", correlation_id="other", reply_to="replies", again=True)
        published = self.reply()
        self.assertEqual((published.body, published.properties.correlation_id), (body, "other"))
        self.assertEqual((self.handler.ran, self.acked()), (["add"], [first, second]))

    def test_joins_a_request_to_its_call_in_progress(self) -> None:
        """A repeated request shares the reply of the call in progress, and takes no slot."""
        tags = [self.request(message_id="m", correlation_id=each) for each in "abc"]
        self.assertEqual((len(self.handler.held), self.worker.running, self.acked()), (1, 1, []))
        self.handler.held[0].callback(5)
        self.assertEqual([reply.properties.correlation_id for reply in self.wire.take()], ["a", "b", "c"])
        self.assertEqual((self.acked(), self.worker.running), (tags, 0))

    def test_runs_requests_that_are_not_repeated(self) -> None:
        """The id and the body have to be equal. A request without an id always runs."""
        self.request("add", message_id="m")
        self.request("zip", message_id="m")
        self.request("add", message_id="n")
        self.request("add")
        self.request("add")
        self.assertEqual(self.handler.ran, ["add", "zip", "add", "add", "add"])

    def test_does_not_repeat_a_oneway_call(self) -> None:
        """It has no reply, and is remembered all the same."""
        self.request("zip", message_id="m", reply_to=None)
        tag = self.request("zip", message_id="m", reply_to=None)
        self.assertEqual((self.handler.ran, self.acked()), (["zip"], [1, tag]))

    def test_does_not_repeat_a_failed_call(self) -> None:
        """The INTERNAL_ERROR of the first run is the reply to the second request."""
        self.handler.answer = lambda: 1 / 0
        for _ in range(2):
            self.request("add", message_id="m")
            self.assert_internal_error()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_runs_a_cancelled_call_again(self) -> None:
        """It has no reply to remember."""
        self.request(message_id="m", expiration="1000")
        self.request(message_id="m", expiration="1000")
        self.wire.clock.advance(1.01)
        self.assertEqual((self.acked(), self.wire.take()), ([1, 2], []))
        self.request("calculate", message_id="m")
        self.assertEqual(len(self.handler.held), 2)

    def test_joins_a_redelivered_request_after_a_lost_channel(self) -> None:
        """The new delivery is acked on the new channel, and the caller gets one reply."""
        self.request(message_id="m")
        self.wire.close_channel()
        self.worker.open()
        tag = self.request(message_id="m", again=True)
        self.assertEqual(self.wire.take(), [])
        self.handler.held[0].callback(5)
        self.assertEqual(len(self.wire.take()), 1)  # one reply to one caller
        self.assertEqual(self.settled(), [("ack", tag, False)])

    def test_runs_repeated_requests_without_the_option(self) -> None:
        """The option is off by default."""
        self.serve()
        for _ in range(2):
            self.request("add", message_id="m")
        self.assertEqual(self.handler.ran, ["add", "add"])


class RedeliveryTests(AgainTestCase):
    """Requests that were delivered before."""

    def setUp(self) -> None:
        self.serve(redelivery_limit=3, concurrency=2)

    def test_republishes_a_redelivered_request_with_its_count(self) -> None:
        """The first time to the end of its queue, later to the quarantine.

        The copy has the caller's headers, the count and the remaining time. The original is acked when the broker has
        confirmed the copy.
        """
        quarantine = "rpc.Calculator.quarantine"
        for before, queue in ((0, "rpc.Calculator"), (1, quarantine), (2, quarantine)):
            headers: dict[str, Any] = {"tenant": "a", "CC": ["x"]} | ({"rpc-deliveries": before} if before else {})
            given: dict[str, Any] = {"headers": headers, "expiration": "5000", "user_id": "guest", "message_id": "m"}
            tag = self.request("add", again=True, **given)
            (moved,) = self.wire.take()
            self.assertEqual((moved.exchange, moved.routing_key), ("", queue))
            self.assertEqual(dict(moved.properties.headers or {}), {"tenant": "a", "rpc-deliveries": before + 1})
            expected = Properties(reply_to="replies", correlation_id="c", expiration="5000", message_id="m")
            self.assertEqual(attrs.evolve(moved.properties, headers=None), expected)
            self.assertEqual((self.handler.ran, self.acked(), self.worker.running), ([], [tag], 0))

    def test_rejects_a_request_that_was_delivered_too_often(self) -> None:
        """Its caller gets an exception with the count."""
        tag = self.request("add", QUARANTINE, again=True, headers={"rpc-deliveries": 3})
        reply, letter = self.wire.take()
        self.assertIn("delivered 4 times", str(self.exception(reply)))
        self.assertEqual((letter.exchange, letter.routing_key), ("rpc.dead", "Calculator"))
        headers = dict(letter.properties.headers or {})
        self.assertIn("delivered 4 times", headers["rpc-dead-reason"])
        self.assertEqual((self.handler.ran, self.acked()), ([], [tag]))

    def test_runs_a_republished_request(self) -> None:
        """Its handler sees that the request may have run before."""
        seen: list[Any] = []

        def look() -> int:
            seen.append(current_call())
            return 3

        self.handler.answer = look
        self.request("add", headers={"rpc-deliveries": 1})
        self.assertTrue(seen[0].redelivered)
        self.assertEqual(dict(seen[0].metadata), {})

    def test_begins_a_copy_after_the_ack_of_the_original(self) -> None:
        """Otherwise a request that crashes its worker would be in the queue twice."""
        original = self.request("add", again=True)
        copy = self.request("add", headers={"rpc-deliveries": 1})
        self.wire.clock.pump([0.05] * 3)
        self.assertEqual(self.handler.ran, [])  # the broker has not confirmed it yet
        self.wire.answer()
        self.assertEqual(self.handler.ran, ["add"])
        self.assertEqual((self.acked(), self.worker.running), ([original, copy], 0))

    def test_a_full_queue_sends_it_to_quarantine_and_nowhere_is_a_reason_to_wait(self) -> None:
        """It is never run without being counted: a broker that takes no copy is asked again after a second."""
        self.serve(concurrency=2)
        self.wire.refuses_beside = True
        tag = self.request("add", again=True)
        self.assertEqual([moved.routing_key for moved in self.wire.take()], ["rpc.Calculator", QUARANTINE_QUEUE])
        self.assertEqual((self.handler.ran, self.acked()), ([], []))
        self.wire.refuses_beside = False
        self.wire.clock.advance(1.0)
        self.assertEqual([moved.routing_key for moved in self.wire.take()], [QUARANTINE_QUEUE])
        self.assertEqual((self.handler.ran, self.acked()), ([], [tag]))

    def test_neither_acks_nor_runs_a_request_whose_channel_is_lost_while_it_is_republished(self) -> None:
        """The broker delivers it again."""
        republisher = Republisher()
        self.serve(republisher)
        self.request("add", again=True)
        self.wire.close_channel()
        republisher.lost(RuntimeError("gone"))
        self.assertEqual((self.handler.ran, self.worker.running), ([], 0))

    def test_does_not_run_a_request_whose_connection_is_lost_while_it_is_republished(self) -> None:
        """The republisher may hear of the loss before the worker's channel does."""
        self.request("add", again=True)
        self.wire.peer.connection.do_close(RuntimeError("gone"))
        self.assertEqual((self.handler.ran, self.worker.running), ([], 0))

    def test_acks_before_requests_that_do_not_begin(self) -> None:
        """A republished, a rejected and a malformed request."""
        self.serve(acknowledge="before", redelivery_limit=3)
        tags = [
            self.request("add", again=True),
            self.request("add", again=True, headers={"rpc-deliveries": 3}),
            self.wire.deliver(b"junk", Properties(), SHARED),
        ]
        self.wire.answer()
        self.assertEqual((self.handler.ran, sorted(self.acked())), ([], tags))

    def test_does_not_decode_the_arguments_of_a_rejected_request(self) -> None:
        """Decoding its arguments may be the cause of the crashes."""
        body = BINARY.encode("add", TMessageType.CALL, 7, Calculator.add_args(1, 2))[:-3] + b"junk"
        headers = {"rpc-deliveries": 3}
        self.wire.deliver(body, Properties(reply_to="replies", headers=headers), QUARANTINE, redelivered=True)
        reply, _ = self.wire.take()
        self.assertIn("delivered 4 times", str(self.exception(reply)))

    def test_a_request_that_runs_here_is_joined_and_one_that_never_began_is_run_uncounted(self) -> None:
        """The channel is lost while one request runs and another waits for a slot; both come again."""
        self.serve(redelivery_limit=1, concurrency=1)
        self.request(message_id="running")
        self.request("add", message_id="held")
        self.wire.close_channel()
        self.worker.open()
        tags = [
            self.request(name, message_id=message_id, again=True)
            for name, message_id in (("calculate", "running"), ("add", "held"))
        ]
        self.assertEqual(self.wire.take(), [])
        self.handler.held.pop(0).callback(1)
        self.wire.settle()
        self.assertEqual(len(self.wire.take()), 2)
        self.assertEqual((self.handler.ran, self.acked()), (["calculate 1", "add"], tags))

    def test_a_request_that_never_began_is_excused_once(self) -> None:
        """It begins, the channel is lost, and the reply with it: then it has run here. In another process it counts."""
        self.serve(redelivery_limit=1, concurrency=1)
        self.request(message_id="running")
        self.request("add", message_id="held")
        for _ in range(2):
            self.wire.close_channel()
            self.worker.open()
            self.request("add", message_id="held", again=True)
            self.assertEqual(self.wire.take(), [])
        self.handler.held.pop(0).callback(1)
        self.wire.settle()
        self.assertEqual(self.handler.ran, ["calculate 1", "add"])
        self.serve(redelivery_limit=1, concurrency=1)
        self.request("add", message_id="held", again=True)
        self.assertEqual([moved.routing_key for moved in self.wire.take()], [QUARANTINE_QUEUE])

    def test_a_run_that_finished_without_its_channel_is_answered_again(self) -> None:
        """The broker has not taken its ack: the copy is acked, the reply sent again, and no handler begins."""
        self.serve(concurrency=2)
        self.request(message_id="m", correlation_id="first")
        self.request("add", message_id="n", correlation_id="first")
        self.wire.take()
        self.wire.close_channel()
        self.handler.held[0].callback(5)
        self.wire.take()
        self.worker.open()
        self.wire.taken("basic.ack")
        tags = [self.request(name, message_id=each, again=True) for name, each in (("calculate", "m"), ("add", "n"))]
        values = [BINARY.read_header(reply.body)[:2] for reply in self.wire.take()]
        self.assertEqual(values, [("calculate", TMessageType.REPLY), ("add", TMessageType.REPLY)])
        self.assertEqual((self.handler.ran, self.acked()), (["calculate 1", "add"], tags))

    def test_a_copy_that_another_worker_made_joins_the_run_in_progress(self) -> None:
        """The copy has the count in its headers, and is not marked as redelivered."""
        self.serve(concurrency=2)
        self.request(message_id="m")
        self.wire.close_channel()
        self.worker.open()
        tag = self.request(message_id="m", headers={"rpc-deliveries": 1})
        self.handler.held[0].callback(5)
        self.assertEqual((len(self.wire.take()), self.handler.ran, self.acked()), (1, ["calculate 1"], [tag]))

    def test_a_request_whose_copy_was_published_is_only_acked(self) -> None:
        """Its channel was lost before the broker had taken its ack."""
        self.request("add", again=True, message_id="m")
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.close_channel()
        self.worker.open()
        self.wire.taken("basic.ack")
        tag = self.request("add", again=True, message_id="m")
        self.assertEqual((self.wire.take(), self.handler.ran, self.acked()), ([], [], [tag]))

    def test_a_network_failure_counts_like_any_other(self) -> None:
        """Excused deliveries had no bound: a request that blocks the reactor of two workers in turn ran without end."""
        for reason in (ConnectionClosed(0, "cut"), HeartbeatMissed("silence"), ChannelClosed(406, "timed out")):
            self.serve(concurrency=2)
            self.worker.server.lost(reason)
            self.worker.open()
            self.request("add", again=True)
            self.assertEqual(
                ([moved.routing_key for moved in self.wire.take()], self.handler.ran), (["rpc.Calculator"], [])
            )

    def test_runs_every_redelivery_without_a_limit(self) -> None:
        """The count of its deliveries is ignored."""
        self.serve(redelivery_limit=None)
        self.request("add", again=True, headers={"x-delivery-count": 100})
        self.assertEqual(self.handler.ran, ["add"])

    def test_publishes_a_dead_letter_again_after_a_nack(self) -> None:
        """The request is acked when the broker has confirmed its dead letter."""
        self.wire.refuses_beside = True
        tag = self.request("add", QUARANTINE, again=True, headers={"rpc-deliveries": 3})
        self.assertEqual((len(self.wire.take()), self.acked()), (2, []))
        self.wire.refuses_beside = False
        self.wire.clock.advance(1.0)
        (letter,) = self.wire.take()
        self.assertEqual((letter.exchange, self.acked()), ("rpc.dead", [tag]))

    def test_rejects_a_redelivery_whose_headers_fill_a_frame(self) -> None:
        """The count does not fit, so the request becomes a dead letter without its headers."""
        self.request("add", again=True, headers={"a": "x" * 131_020})
        reply, letter = self.wire.take()
        self.assertEqual(letter.exchange, "rpc.dead")
        self.assertIn("delivered 1 times", str(self.exception(reply)))
        self.assertEqual(self.acked(), [1])


class CancellingTests(AgainTestCase):
    """Requests that are cancelled or out of time."""

    def cancel_calls(self, *ids: str, consumer: str = OWN) -> int:
        """Cancel calls, and return the message's tag."""
        properties = Properties(type="rpc.cancel")
        return self.wire.deliver("\n".join(ids).encode(), properties, consumer, False, "Calculator", "rpc.broadcast")

    def test_cancels_the_handler_at_the_deadline_of_its_caller(self) -> None:
        """The request is acked. There is no reply and no line in the log."""
        tag = self.request(expiration="1000")
        self.wire.clock.advance(1.01)
        self.assertEqual((self.acked(), self.wire.take(), self.worker.running), ([tag], [], 0))
        self.assertTrue(self.handler.held[0].called)

    def test_cancels_the_calls_that_a_message_names(self) -> None:
        """All requests with its id are cancelled, and no others."""
        tags = [self.request(message_id=each) for each in ("a", "a", "b")]
        tag = self.cancel_calls("x", "a")
        self.assertEqual(self.acked(), [*tags[:2], tag])
        self.assertEqual((self.wire.take(), self.worker.running), ([], 1))

    def test_does_not_begin_a_request_that_was_cancelled_before(self) -> None:
        """The request is still in the queue when its cancellation comes."""
        self.cancel_calls("a")
        self.request("add", message_id="a")
        self.request("add", message_id="b")
        self.assertEqual((self.handler.ran, self.acked()), (["add"], [1, 2, 3]))

    def test_keeps_a_bounded_number_of_cancelled_ids(self) -> None:
        """The requests of most of them never come."""
        for number in range(100):
            self.cancel_calls(*(f"{number}.{each}" for each in range(1000)))
        self.assertEqual(len(self.worker.in_progress.cancelled), 10_000)

    def test_reads_a_bounded_part_of_a_cancellation(self) -> None:
        """Ids that are too long for a call are dropped, and only the first mebibyte of a message is read."""
        self.cancel_calls("x" * 256)
        self.assertEqual(len(self.worker.in_progress.cancelled), 0)
        self.cancel_calls(*(f"{number:09}" for number in range(200_000)))
        self.assertIn(b"000104856", self.worker.in_progress.cancelled)
        self.assertNotIn(b"000104859", self.worker.in_progress.cancelled)

    def test_cancels_a_joined_call_at_the_last_deadline(self) -> None:
        """Two requests share one run; the second one has more time."""
        self.serve(deduplicate=True)
        self.request(message_id="m", expiration="2000", correlation_id="first")
        self.wire.clock.advance(1.5)
        self.request(message_id="m", expiration="2000", correlation_id="second")
        self.wire.clock.advance(1.0)
        self.assertEqual(self.worker.running, 1)
        self.handler.held[0].callback(5)
        self.assertEqual([reply.properties.correlation_id for reply in self.wire.take()], ["first", "second"])

    def test_never_cancels_a_handler_without_the_option(self) -> None:
        """With ``cancel=False`` the call keeps its slot until its handler is done."""
        self.serve(cancel=False)
        self.request(message_id="m", expiration="1000")
        self.cancel_calls("m")
        self.wire.clock.advance(2)
        self.assertEqual((self.worker.running, self.handler.held[0].called), (1, False))
        self.handler.held[0].callback(5)
        self.assertEqual(self.worker.running, 0)

    def test_rejects_a_cancellation_in_the_shared_queue(self) -> None:
        """It is no request, and has no caller to answer."""
        self.cancel_calls("a", consumer=SHARED)
        (letter,) = self.wire.take()
        self.assertEqual(letter.exchange, "rpc.dead")

    def test_keeps_the_slot_of_a_handler_that_goes_on(self) -> None:
        """The handler ignores its cancellation. Its late reply is dropped."""

        async def stubborn() -> int:
            inner: Deferred[None] = Deferred()
            self.handler.held.append(inner)
            try:
                await inner
            except CancelledError:
                await self.handler.hold()
            return 3

        self.handler.answer = stubborn
        tag = self.request("add", expiration="1000")
        self.wire.clock.advance(1.01)
        self.assertEqual((self.acked(), self.worker.running), ([], 1))
        self.handler.held[1].callback(1)
        self.assertEqual((self.acked(), self.worker.running, self.wire.take()), ([tag], 0, []))

    def test_logs_a_canceller_that_raises(self) -> None:
        """Other calls are cancelled all the same."""

        def broken(_: object) -> None:
            raise ZeroDivisionError

        self.handler.answer = lambda: Deferred(broken)
        self.request("add", expiration="1000")
        self.request(expiration="1000")
        self.wire.clock.advance(1.01)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.worker.running, 1)

    def test_keeps_nothing_of_settled_calls(self) -> None:
        """All tables are empty when the calls are settled."""
        for _ in range(3):
            self.request(message_id="m", expiration="60000", headers={"rpc-liveness": 1000})
            self.handler.held.pop().callback(1)
        progress = self.worker.in_progress
        self.assertEqual([len(progress), len(progress._deadlines), len(progress._keepalives)], [0, 0, 0])


class LivenessTests(AgainTestCase):
    """Keepalives tell a caller that its call runs."""

    def keepalives(self) -> list[tuple[str, str | None, Any, bytes]]:
        """Return the keepalives sent since the last call."""
        return [
            (sent.routing_key, sent.properties.correlation_id, dict(sent.properties.headers or {}), sent.body)
            for sent in self.wire.take()
        ]

    def test_sends_keepalives_until_the_call_is_answered(self) -> None:
        """At once, then three times in each period that the caller asked for, until the reply is sent."""
        self.request(headers={"rpc-liveness": 3000})
        keepalive = ("replies", "c", {"rpc-keepalive": INSTANCE}, b"")
        self.assertEqual(self.keepalives(), [keepalive])
        for _ in range(5):
            self.wire.clock.advance(1.01)
            self.assertEqual(self.keepalives(), [keepalive])
        self.handler.held[0].callback(1)
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.clock.advance(10)
        self.assertEqual(self.keepalives(), [])

    def test_sends_no_keepalives_that_no_caller_can_use(self) -> None:
        """A call that is answered at once needs none. Without a header, an id or a reply queue there is none."""
        self.request("add", headers={"rpc-liveness": 3000})
        self.wire.take()
        lacking: list[dict[str, Any]] = [{}, {"reply_to": None}, {"correlation_id": None}]
        for given in lacking:
            self.request(headers={"rpc-liveness": 3000} if given else None, **given)
        values: list[Any] = ["soon", -1, True, []]
        for odd in values:
            self.request(headers={"rpc-liveness": odd})
        self.wire.clock.advance(3)
        self.assertEqual(self.keepalives(), [])

    def test_sends_keepalives_with_the_number_of_the_attempt(self) -> None:
        """So the keepalives of an abandoned attempt do not hide that the worker of the next one is silent."""
        self.request(headers={"rpc-liveness": 3000, "rpc-attempt": 2})
        self.assertEqual(self.keepalives()[0][2], {"rpc-keepalive": INSTANCE, "rpc-attempt": 2})

    def test_sends_no_keepalives_after_the_deadline(self) -> None:
        """The handler ignores its cancellation; the caller has its error already."""

        async def stubborn() -> int:
            try:
                await self.handler.hold()
            except CancelledError:
                await self.handler.hold()
            return 3

        self.handler.answer = stubborn
        self.request("add", expiration="1000", headers={"rpc-liveness": 600})
        self.wire.clock.advance(1.01)
        self.wire.take()
        self.wire.clock.pump([0.2] * 10)
        self.assertEqual((self.keepalives(), self.worker.running), ([], 1))

    def test_bounds_the_rate_of_keepalives(self) -> None:
        """At most thirty-five a second, however many the caller asks for."""
        self.request(headers={"rpc-liveness": 1})
        count = len(self.keepalives())
        for _ in range(1000):
            self.wire.clock.advance(0.001)
            count += len(self.keepalives())
        self.assertLess(count, 35)


class NestedTests(AgainTestCase):
    """Nested requests: this worker's handlers sent them to this worker."""

    def setUp(self) -> None:
        self.serve(concurrency=2)

    def nested(self) -> int:
        """Deliver a request that a handler of this worker has made."""
        return self.request("add", OWN, key=f"{DIRECT_KEY}{NESTED}")

    def test_lends_slots_to_nested_requests(self) -> None:
        """All slots are taken. A call that waits for a nested call lends its slot, but only to nested requests."""
        contexts: list[Any] = []

        def work() -> Any:
            contexts.append(current_call())
            return self.handler.hold()

        answer, self.handler.answer = self.handler.answer, work
        self.request("add")
        self.request("add")
        self.handler.answer = answer
        self.nested()
        self.request("add")
        self.assertEqual(self.handler.ran, ["add", "add"])
        contexts[0].enter()
        self.wire.clock.advance(0)
        self.assertEqual(self.handler.ran, ["add", "add", "add"])
        contexts[0].leave()
        self.nested()
        self.wire.clock.advance(0)
        self.assertEqual(self.handler.ran, ["add", "add", "add"])
        contexts[0].enter()
        self.handler.held[0].callback(1)  # answered, with a call of its own still under way
        for _ in range(3):
            self.wire.clock.advance(0)
        self.assertEqual((len(self.handler.ran), self.worker.limiter.waiting), (5, 0))

    def test_serves_nested_requests_while_it_stops(self) -> None:
        """Direct requests of other callers are rejected: no other worker could run them."""
        self.request()
        drained = self.worker.drain(30.0)
        self.wire.answer()
        self.nested()
        self.assertEqual(self.handler.ran, ["calculate 1", "add"])
        self.wire.take()
        self.request("add", OWN)
        (refusal,) = self.wire.take()
        self.assertEqual(dict(refusal.properties.headers or {}), {"rpc-outcome": "stopping"})
        self.assertIn("stopping", str(self.exception(refusal)))
        self.assertNoResult(drained)
        self.handler.held[0].callback(1)
        self.successResultOf(drained)

    def test_settles_the_requests_that_wait_when_it_stops(self) -> None:
        """Direct requests are rejected, requests of the shared queue are republished, and nested requests run."""
        self.request()
        self.request()
        direct, shared, nested = self.request("add", OWN), self.request("add"), self.nested()
        drained = self.worker.drain(30.0)
        self.wire.answer()
        copy, refusal = self.wire.take()
        self.assertEqual(dict(refusal.properties.headers or {}), {"rpc-outcome": "stopping"})
        self.assertEqual((copy.routing_key, copy.properties.headers), ("rpc.Calculator", {}))
        self.assertEqual(self.settled(), [("ack", direct, False), ("ack", shared, False)])
        self.handler.held[0].callback(1)
        self.handler.held[1].callback(1)
        self.assertNoResult(drained)
        self.wire.clock.advance(0)
        self.successResultOf(drained)
        self.assertEqual(self.handler.ran, ["calculate 1", "calculate 1", "add"])
        self.assertEqual(nested, 5)

    def test_ends_a_cancelled_drain_at_once(self) -> None:
        """Cancelling ends the wait for calls in progress and for a broker that does not answer."""
        self.request()
        for _ in range(2):
            drained = self.worker.drain(30.0)
            self.wire.answer()
            drained.cancel()
            self.successResultOf(drained)

    def test_rejects_direct_requests_over_the_backlog(self) -> None:
        """As many direct requests wait as the option ``backlog`` says."""
        self.serve(concurrency=1, backlog=3)
        self.request()
        for _ in range(5):
            self.request("add", OWN)
        refusals = self.wire.take()
        self.assertEqual(
            [dict(each.properties.headers or {}) for each in refusals], [{"rpc-outcome": "overloaded"}] * 2
        )
        self.handler.held[0].callback(1)
        for _ in range(5):
            self.wire.clock.advance(0)
        self.assertEqual(self.handler.ran, ["calculate 1", "add", "add", "add"])

    def test_rejects_nested_requests_over_a_bound(self) -> None:
        """More than ten thousand wait."""
        self.serve(concurrency=1)
        self.request()
        for _ in range(10_003):
            self.nested()
        self.assertEqual(
            [dict(each.properties.headers or {}) for each in self.wire.take()], [{"rpc-outcome": "overloaded"}] * 3
        )

    def test_runs_nested_requests_after_a_lost_channel(self) -> None:
        """The broker does not deliver nested requests again, for their queue is gone.

        Their replies are sent over the next channel.
        """
        self.serve(concurrency=1)
        self.request()
        self.nested()
        self.request("add")
        self.wire.close_channel()
        self.handler.held[0].callback(1)
        self.wire.clock.pump([0, 0, 0])
        self.assertEqual(self.handler.ran, ["calculate 1", "add"])
        self.assertEqual([reply.routing_key for reply in self.wire.take()], ["replies"] * 2)

    def test_a_deleted_own_queue_leads_to_another_channel(self) -> None:
        """The channel is given up, so the link opens another one with another queue."""
        self.assertTrue(self.worker.consuming)
        self.wire.peer.feed(method(self.wire.channel.id, "basic.cancel", OWN, True))
        self.assertFalse(self.worker.consuming)
        self.wire.answer()
        self.worker.open()
        self.assertTrue(self.worker.consuming)
