"""A worker whose handlers make calls, and whose requests are for it alone."""

from __future__ import annotations

from typing import Any

from rpc.context import current_call
from rpc.topology import NESTED
from rpc.worker import dispatcher
from tests.unit.amqp.peer import method
from tests.unit.worker.again_case import DIRECT_KEY, AgainTestCase
from tests.unit.worker.served import OWN


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
        self.assertEqual((copy.routing_key, copy.properties.headers), ("rpc.Calculator", {"rpc-renewals": 1}))
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

    def test_rejects_direct_requests_over_a_bound_of_bytes(self) -> None:
        """Few large requests take as much memory as many small ones. The memory of those that ran is free again."""
        self.patch(dispatcher, "MOST_HELD_BYTES", 2_500)
        self.serve(concurrency=1)
        self.request()
        for _ in range(2):
            for size in (1000, 1000, 1000, 1):
                self.request("add", OWN, headers={"filling": "x" * size})
            self.assertEqual(
                [dict(each.properties.headers or {}) for each in self.wire.take()], [{"rpc-outcome": "overloaded"}]
            )
            self.handler.held.pop().callback(1)
            for _ in range(5):
                self.wire.clock.advance(0)
            self.assertEqual(len(self.wire.take()), 4)
            self.request()

    def test_a_request_over_the_bound_of_bytes_waits_alone(self) -> None:
        """It may be allowed by ``max_message_size``."""
        self.patch(dispatcher, "MOST_HELD_BYTES", 100)
        self.serve(concurrency=1)
        self.request()
        self.request("add", OWN, headers={"filling": "x" * 1000})
        self.assertEqual(self.wire.take(), [])
        self.request("add", OWN)
        self.assertEqual(len(self.wire.take()), 1)
        self.nested()  # other callers take no room of the handlers' own calls
        self.assertEqual(self.wire.take(), [])

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
        self.assertEqual([reply.routing_key for reply in self.wire.take()], ["amq.gen-replies"] * 2)

    def test_runs_at_most_once_requests_for_this_worker_after_a_lost_channel(self) -> None:
        """They do not come again either, so they may run without an ack that the broker has taken."""
        for lost_while in ("held", "acking"):
            self.serve(concurrency=1, acknowledge="before")
            if lost_while == "held":
                self.request()
                self.wire.settle()
                self.nested()
                self.wire.close_channel()
                self.handler.held[0].callback(1)
            else:
                self.nested()
                self.wire.close_channel()
            self.wire.settle()
            self.assertEqual((self.handler.ran[-1:], self.worker.running), (["add"], 0), lost_while)

    def test_a_deleted_own_queue_leads_to_another_channel(self) -> None:
        """The channel is given up, so the link opens another one with another queue."""
        self.assertTrue(self.worker.consuming)
        self.wire.peer.feed(method(self.wire.channel.id, "basic.cancel", OWN, True))
        self.assertFalse(self.worker.consuming)
        self.wire.answer()
        self.worker.open()
        self.assertTrue(self.worker.consuming)
