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
        """The tags that were acked since the last time, each told alone."""
        tags: list[int] = []
        for kind, tag, multiple in self.settled():
            self.assertEqual(kind, "ack")
            tags += range(self._lowest, tag + 1) if multiple else [tag]
            self._lowest = tag + 1 if multiple else self._lowest
        return tags

    _lowest = 1

    def exception(self, published: Published) -> TApplicationException:
        """The exception that a reply holds."""
        _, kind, _, start = BINARY.read_header(published.body)
        self.assertEqual(kind, TMessageType.EXCEPTION)
        return read_application_exception(BINARY, published.body, start)


class DeduplicationTests(AgainTestCase):
    """A call that is sent again is not run again."""

    def setUp(self) -> None:
        self.serve(deduplicate=Deduplicate(seconds=60.0), concurrency=4)

    def test_answered_again(self) -> None:
        """A repeated request gets the reply of the first, with properties of its own, and is acked."""
        first = self.request("add", message_id="m")
        body = self.reply().body
        second = self.request("add", message_id="m", correlation_id="other", reply_to="replies", again=True)
        published = self.reply()
        self.assertEqual((published.body, published.properties.correlation_id), (body, "other"))
        self.assertEqual((self.handler.ran, self.acked()), (["add"], [first, second]))

    def test_joined(self) -> None:
        """A request that comes while its call is in progress is answered with it, and takes no place."""
        tags = [self.request(message_id="m", correlation_id=each) for each in "abc"]
        self.assertEqual((len(self.handler.held), self.worker.running, self.acked()), (1, 1, []))
        self.handler.held[0].callback(5)
        self.assertEqual([reply.properties.correlation_id for reply in self.wire.take()], ["a", "b", "c"])
        self.assertEqual((self.acked(), self.worker.running), (tags, 0))

    def test_others(self) -> None:
        """Another call, one with the same id but another body, and those without id are run."""
        self.request("add", message_id="m")
        self.request("zip", message_id="m")
        self.request("add", message_id="n")
        self.request("add")
        self.request("add")
        self.assertEqual(self.handler.ran, ["add", "zip", "add", "add", "add"])

    def test_oneway(self) -> None:
        """A oneway call is not run again, either."""
        self.request("zip", message_id="m", reply_to=None)
        tag = self.request("zip", message_id="m", reply_to=None)
        self.assertEqual((self.handler.ran, self.acked()), (["zip"], [1, tag]))

    def test_failed(self) -> None:
        """A call that failed was run."""
        self.handler.answer = lambda: 1 / 0
        for _ in range(2):
            self.request("add", message_id="m")
            self.assert_internal_error()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_cancelled(self) -> None:
        """A call that was cancelled has no reply to remember: it is run when it comes once more."""
        self.request(message_id="m", expiration="1000")
        self.request(message_id="m", expiration="1000")
        self.wire.clock.advance(1.01)
        self.assertEqual((self.acked(), self.wire.take()), ([1, 2], []))
        self.request("calculate", message_id="m")
        self.assertEqual(len(self.handler.held), 2)

    def test_after_a_lost_channel(self) -> None:
        """A request that is delivered again to the worker that runs it is joined, on whatever channel it comes."""
        self.request(message_id="m")
        self.wire.close_channel()
        self.worker.open()
        tag = self.request(message_id="m", again=True)
        self.assertEqual(self.wire.take(), [])
        self.handler.held[0].callback(5)
        self.assertEqual(len(self.wire.take()), 1)  # one reply to one caller
        self.assertEqual(self.settled(), [("ack", tag, False)])

    def test_not_without(self) -> None:
        """Without the option a repeated request is run again."""
        self.serve()
        for _ in range(2):
            self.request("add", message_id="m")
        self.assertEqual(self.handler.ran, ["add", "add"])


class RedeliveryTests(AgainTestCase):
    """Requests that were delivered before."""

    def setUp(self) -> None:
        self.serve(redelivery_limit=3, concurrency=2)

    def test_moves(self) -> None:
        """To the end of the queue first, then to the suspects, with the count, what is left of its time, and no more
        than the caller sent; acked when the broker has it there.
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

    def test_over_the_limit(self) -> None:
        """Then it is a dead letter, and its caller is told."""
        tag = self.request("add", QUARANTINE, again=True, headers={"rpc-deliveries": 3})
        reply, letter = self.wire.take()
        self.assertIn("delivered 4 times", str(self.exception(reply)))
        self.assertEqual((letter.exchange, letter.routing_key), ("rpc.dead", "Calculator"))
        headers = dict(letter.properties.headers or {})
        self.assertIn("delivered 4 times", headers["rpc-dead-reason"])
        self.assertEqual((self.handler.ran, self.acked()), ([], [tag]))

    def test_copy(self) -> None:
        """What was put back is run like any other, and its handler is told that it may have been run before."""
        seen: list[Any] = []

        def look() -> int:
            seen.append(current_call())
            return 3

        self.handler.answer = look
        self.request("add", headers={"rpc-deliveries": 1})
        self.assertTrue(seen[0].redelivered)
        self.assertEqual(dict(seen[0].metadata), {})

    def test_copies_of_its_own(self) -> None:
        """A request that was put back is not begun before the ack of what it may be a copy of has gone out: else one
        that ends its worker would be there twice.
        """
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

    def test_lost_while_moving(self) -> None:
        """A request whose channel is lost while it is moved will come again: it is neither acked nor run."""
        republisher = Republisher()
        self.serve(republisher)
        self.request("add", again=True)
        self.wire.close_channel()
        republisher.lost(RuntimeError("gone"))
        self.assertEqual((self.handler.ran, self.worker.running), ([], 0))

    def test_connection_lost_while_moving(self) -> None:
        """The republisher may hear first that the connection is gone: the request is not run for that."""
        self.request("add", again=True)
        self.wire.peer.connection.do_close(RuntimeError("gone"))
        self.assertEqual((self.handler.ran, self.worker.running), ([], 0))

    def test_acknowledged_before(self) -> None:
        """With ``acknowledge="before"`` what is not begun is acked as well, when it is elsewhere or refused."""
        self.serve(acknowledge="before", redelivery_limit=3)
        tags = [
            self.request("add", again=True),
            self.request("add", again=True, headers={"rpc-deliveries": 3}),
            self.wire.deliver(b"junk", Properties(), SHARED),
        ]
        self.wire.answer()
        self.assertEqual((self.handler.ran, sorted(self.acked())), ([], tags))

    def test_not_decoded(self) -> None:
        """Of what is given up no more is read than an answer needs: the rest may be what ends workers."""
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

    def test_unlimited(self) -> None:
        """Without a limit a request is run however often it comes."""
        self.serve(redelivery_limit=None)
        self.request("add", again=True, headers={"x-delivery-count": 100})
        self.assertEqual(self.handler.ran, ["add"])

    def test_dead_letters_refused(self) -> None:
        """A dead letter that the broker does not take is published again after a while, and acked only then."""
        self.wire.refuses_beside = True
        tag = self.request("add", QUARANTINE, again=True, headers={"rpc-deliveries": 3})
        self.assertEqual((len(self.wire.take()), self.acked()), (2, []))
        self.wire.refuses_beside = False
        self.wire.clock.advance(1.0)
        (letter,) = self.wire.take()
        self.assertEqual((letter.exchange, self.acked()), ("rpc.dead", [tag]))

    def test_headers_that_fill_a_frame(self) -> None:
        """Where the count has no room, the request is a dead letter, without its headers."""
        self.request("add", again=True, headers={"a": "x" * 131_020})
        reply, letter = self.wire.take()
        self.assertEqual(letter.exchange, "rpc.dead")
        self.assertIn("delivered 1 times", str(self.exception(reply)))
        self.assertEqual(self.acked(), [1])


class CancellingTests(AgainTestCase):
    """Requests that nobody waits for."""

    def cancel_calls(self, *ids: str, consumer: str = OWN) -> int:
        """Cancel calls, and return the message's tag."""
        properties = Properties(type="rpc.cancel")
        return self.wire.deliver("\n".join(ids).encode(), properties, consumer, False, "Calculator", "rpc.broadcast")

    def test_deadline(self) -> None:
        """At the caller's deadline the handler is cancelled; the request is acked, not answered, nor logged."""
        tag = self.request(expiration="1000")
        self.wire.clock.advance(1.01)
        self.assertEqual((self.acked(), self.wire.take(), self.worker.running), ([tag], [], 0))
        self.assertTrue(self.handler.held[0].called)

    def test_called_off(self) -> None:
        """A call that its caller has cancelled is cancelled here, all that have its id; others are not."""
        tags = [self.request(message_id=each) for each in ("a", "a", "b")]
        tag = self.cancel_calls("x", "a")
        self.assertEqual(self.acked(), [*tags[:2], tag])
        self.assertEqual((self.wire.take(), self.worker.running), ([], 1))

    def test_called_off_before_it_comes(self) -> None:
        """A request that is called off while it waits in the queue is not begun."""
        self.cancel_calls("a")
        self.request("add", message_id="a")
        self.request("add", message_id="b")
        self.assertEqual((self.handler.ran, self.acked()), (["add"], [1, 2, 3]))

    def test_bounded(self) -> None:
        """Who calls off what never comes does not fill the worker."""
        for number in range(100):
            self.cancel_calls(*(f"{number}.{each}" for each in range(1000)))
        self.assertEqual(len(self.worker.in_progress.cancelled), 10_000)

    def test_bounded_bytes(self) -> None:
        """Ids that no call has are not kept, and of one message so many are read that it takes no time to speak of."""
        self.cancel_calls("x" * 256)
        self.assertEqual(len(self.worker.in_progress.cancelled), 0)
        self.cancel_calls(*(f"{number:09}" for number in range(200_000)))
        self.assertIn(b"000104856", self.worker.in_progress.cancelled)
        self.assertNotIn(b"000104859", self.worker.in_progress.cancelled)

    def test_joined_with_more_time(self) -> None:
        """A call is cancelled when the last of those who wait for it has no more time."""
        self.serve(deduplicate=True)
        self.request(message_id="m", expiration="2000", correlation_id="first")
        self.wire.clock.advance(1.5)
        self.request(message_id="m", expiration="2000", correlation_id="second")
        self.wire.clock.advance(1.0)
        self.assertEqual(self.worker.running, 1)
        self.handler.held[0].callback(5)
        self.assertEqual([reply.properties.correlation_id for reply in self.wire.take()], ["first", "second"])

    def test_not_to_be_cancelled(self) -> None:
        """With ``cancel=False`` a call keeps its place until its handler is done, whoever waits."""
        self.serve(cancel=False)
        self.request(message_id="m", expiration="1000")
        self.cancel_calls("m")
        self.wire.clock.advance(2)
        self.assertEqual((self.worker.running, self.handler.held[0].called), (1, False))
        self.handler.held[0].callback(5)
        self.assertEqual(self.worker.running, 0)

    def test_in_the_shared_queue(self) -> None:
        """It is no request, wherever it comes from, and nobody is to be told."""
        self.cancel_calls("a", consumer=SHARED)
        (letter,) = self.wire.take()
        self.assertEqual(letter.exchange, "rpc.dead")

    def test_handler_that_goes_on(self) -> None:
        """A handler that does not let itself be cancelled keeps its place until it is done; its reply is dropped."""

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

    def test_canceller_that_raises(self) -> None:
        """It is logged, and harms nobody."""

        def broken(_: object) -> None:
            raise ZeroDivisionError

        self.handler.answer = lambda: Deferred(broken)
        self.request("add", expiration="1000")
        self.request(expiration="1000")
        self.wire.clock.advance(1.01)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.worker.running, 1)

    def test_nothing_stays(self) -> None:
        """What is done is in no table."""
        for _ in range(3):
            self.request(message_id="m", expiration="60000", headers={"rpc-liveness": 1000})
            self.handler.held.pop().callback(1)
        progress = self.worker.in_progress
        self.assertEqual([len(progress), len(progress._deadlines), len(progress._keepalives)], [0, 0, 0])


class LivenessTests(AgainTestCase):
    """Telling callers that their calls are being worked on."""

    def signs(self) -> list[tuple[str, str | None, Any, bytes]]:
        """The signs of life since the last time."""
        return [
            (sign.routing_key, sign.properties.correlation_id, dict(sign.properties.headers or {}), sign.body)
            for sign in self.wire.take()
        ]

    def test_signs(self) -> None:
        """At once, then three times within the time that the caller asked for; none when the call is answered."""
        self.request(headers={"rpc-liveness": 3000})
        sign = ("replies", "c", {"rpc-keepalive": INSTANCE}, b"")
        self.assertEqual(self.signs(), [sign])
        for _ in range(5):
            self.wire.clock.advance(1.01)
            self.assertEqual(self.signs(), [sign])
        self.handler.held[0].callback(1)
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.clock.advance(10)
        self.assertEqual(self.signs(), [])

    def test_nobody_to_tell(self) -> None:
        """None for what is answered at once, nor without the header, a correlation id or a queue for replies."""
        self.request("add", headers={"rpc-liveness": 3000})
        self.wire.take()
        lacking: list[dict[str, Any]] = [{}, {"reply_to": None}, {"correlation_id": None}]
        for given in lacking:
            self.request(headers={"rpc-liveness": 3000} if given else None, **given)
        values: list[Any] = ["soon", -1, True, []]
        for odd in values:
            self.request(headers={"rpc-liveness": odd})
        self.wire.clock.advance(3)
        self.assertEqual(self.signs(), [])

    def test_attempt(self) -> None:
        """A sign says of which attempt it is, so that a silent worker is not covered by one that was given up."""
        self.request(headers={"rpc-liveness": 3000, "rpc-attempt": 2})
        self.assertEqual(self.signs()[0][2], {"rpc-keepalive": INSTANCE, "rpc-attempt": 2})

    def test_none_after_the_deadline(self) -> None:
        """Nobody waits for a handler that does not let itself be cancelled."""

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
        self.assertEqual((self.signs(), self.worker.running), ([], 1))

    def test_not_too_often(self) -> None:
        """Who asks for a sign every microsecond gets thirty a second."""
        self.request(headers={"rpc-liveness": 1})
        count = len(self.signs())
        for _ in range(1000):
            self.wire.clock.advance(0.001)
            count += len(self.signs())
        self.assertLess(count, 35)


class NestedTests(AgainTestCase):
    """Requests that the worker sends itself, for calls that its handlers make."""

    def setUp(self) -> None:
        self.serve(concurrency=2)

    def nested(self) -> int:
        """Deliver a request that a handler of this worker has made."""
        return self.request("add", OWN, key=f"{DIRECT_KEY}{NESTED}")

    def test_places(self) -> None:
        """All places are taken: nested requests wait while they are taken by calls that work, and not by such that
        wait for calls of their own; others wait either way.
        """
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

    def test_while_stopping(self) -> None:
        """A stopping worker serves what its own calls need, and refuses what others send to it alone."""
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

    def test_held_when_stopping(self) -> None:
        """What waits here is refused when it was for this worker alone, given back otherwise, served when nested."""
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

    def test_cancelled_drain(self) -> None:
        """Who does not want to wait for calls in progress, nor for a broker that does not answer, cancels the wait."""
        self.request()
        for _ in range(2):
            drained = self.worker.drain(30.0)
            self.wire.answer()
            drained.cancel()
            self.successResultOf(drained)

    def test_too_many_for_one(self) -> None:
        """Of requests to this worker alone so many wait as its backlog says; the others are refused."""
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

    def test_too_many_nested(self) -> None:
        """No handler makes so many: they are refused."""
        self.serve(concurrency=1)
        self.request()
        for _ in range(10_003):
            self.nested()
        self.assertEqual(
            [dict(each.properties.headers or {}) for each in self.wire.take()], [{"rpc-outcome": "overloaded"}] * 3
        )

    def test_lost_channel(self) -> None:
        """What waits here and was sent to this worker alone will not come again: it is run all the same, and answered
        over the next channel, or when there is one.
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
