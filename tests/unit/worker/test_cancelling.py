"""A worker whose requests are cancelled or out of time."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from rpc.messages import Properties
from tests.unit.worker.again_case import AgainTestCase
from tests.unit.worker.served import OWN, SHARED


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

    def test_does_not_begin_a_further_attempt_of_a_cancelled_call(self) -> None:
        """It was still in the queue when the first one was cancelled."""
        for options in ({}, {"deduplicate": True}, {"acknowledge": "before"}, {"cancel": False}):
            self.serve(**options)
            self.request(message_id="m")
            self.wire.settle()
            self.cancel_calls("m")
            self.request(message_id="m", headers={"rpc-attempt": 2})
            self.wire.settle()
            self.assertEqual(self.handler.ran, ["calculate 1"], options)

    def test_does_not_begin_a_further_attempt_that_waits_for_a_slot(self) -> None:
        """Both attempts are at this worker when the call is cancelled."""
        self.serve(concurrency=1)
        tags = [self.request(message_id="m"), self.request(message_id="m", headers={"rpc-attempt": 2})]
        tags.append(self.cancel_calls("m"))
        self.wire.settle()
        self.assertEqual((self.handler.ran, self.worker.running), (["calculate 1"], 0))
        self.assertEqual(sorted(self.acked()), tags)

    def test_runs_a_replayed_letter_of_a_cancelled_call(self) -> None:
        """It has no reply queue: an operator wants it to run, and not the caller that has cancelled it."""
        self.cancel_calls("m")
        self.request("add", message_id="m", reply_to=None)
        self.assertEqual(self.handler.ran, ["add"])

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
