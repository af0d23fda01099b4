"""Telling workers that a call is cancelled."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from rpc.client.cancellation import INTERVAL, MOST_IDS
from rpc.errors import CallTimedOut, ConnectionLost, ServiceUnavailable, WorkerLost
from rpc.worker.notices import LONGEST_CANCEL
from tests.unit.amqp.peer import method, outcome_of
from tests.unit.client.caller_in_memory import AttemptTestCase, CallerInMemory, serving_call
from tests.unit.client.test_nested import context
from tests.unit.wire import Published

BROADCAST = ("rpc.broadcast", "Calculator")


class CancellationTestCase(AttemptTestCase):
    """A client that wants keepalives."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.caller.client(liveness=2.0, timeout=600.0, idempotent=[])

    def cancellations(self) -> dict[tuple[str, str], list[str]]:
        """Return the message ids that were cancelled since the last time, by exchange and routing key."""
        found: dict[tuple[str, str], list[str]] = {}
        for published in self.wire.take():
            self.assertEqual(published.properties.type, "rpc.cancel")
            self.assertFalse(published.mandatory)
            key = published.exchange, published.routing_key
            self.assertNotIn(key, found)
            found[key] = published.body.decode().split("\n")
        return found

    def begin(self, client: Any = None) -> tuple[Any, list[Any], Published]:
        """Return a call, its outcome and its request."""
        call = (client or self.client).ping()
        return call, outcome_of(call), self.request()


class CancelledTests(CancellationTestCase):
    """Calls whose Deferred is cancelled."""

    def test_a_call_at_an_unknown_worker_is_cancelled_by_broadcast(self) -> None:
        call, fired, request = self.begin()
        call.cancel()
        self.assertEqual(self.cancellations(), {BROADCAST: [request.properties.message_id]})
        self.assert_fails(fired, CancelledError)

    def test_a_call_whose_worker_sent_a_keepalive_is_cancelled_there(self) -> None:
        call, _, request = self.begin()
        self.keepalive(request, "host.1.ab")
        call.cancel()
        self.assertEqual(self.cancellations(), {("rpc", "Calculator@host.1.ab"): [request.properties.message_id]})

    def test_a_call_to_one_instance_is_cancelled_there(self) -> None:
        call, _, request = self.begin(self.caller.client(name="Calculator@host.1.ab"))
        call.cancel()
        self.assertEqual(self.cancellations(), {("rpc", "Calculator@host.1.ab"): [request.properties.message_id]})

    def test_a_call_on_another_exchange_is_cancelled_there_or_by_broadcast(self) -> None:
        client = self.caller.client(exchange="other", liveness=2.0)
        call, _, request = self.begin(client)
        self.keepalive(request, "host.1.ab")
        call.cancel()
        self.assertEqual(list(self.cancellations()), [("other", "Calculator@host.1.ab")])
        self.wire.clock.advance(INTERVAL)
        call, _, _ = self.begin(client)
        call.cancel()
        self.assertEqual(list(self.cancellations()), [BROADCAST])

    def test_a_broadcast_call_is_cancelled_at_every_worker(self) -> None:
        call, _, request = self.begin(self.caller.client(exchange="rpc.broadcast", liveness=2.0))
        self.keepalive(request, "host.1.ab")
        call.cancel()
        self.assertEqual(list(self.cancellations()), [BROADCAST])

    def test_a_redelivered_call_is_cancelled_at_both_workers(self) -> None:
        call, _, request = self.begin()
        for instance in ("b", "a", "b"):
            self.keepalive(request, instance)
        call.cancel()
        self.assertEqual(list(self.cancellations()), [("rpc", "Calculator@a"), ("rpc", "Calculator@b")])

    def test_a_call_with_too_many_workers_is_cancelled_by_broadcast(self) -> None:
        """A peer could make up names without end."""
        call, _, request = self.begin()
        for number in range(9):
            self.keepalive(request, f"host.{number}")
        call.cancel()
        self.assertEqual(list(self.cancellations()), [BROADCAST])

    def test_a_keepalive_without_a_name_names_no_worker(self) -> None:
        call, _, request = self.begin()
        self.caller.reply_bytes(request, b"", headers={"rpc-keepalive": 5})
        call.cancel()
        self.assertEqual(list(self.cancellations()), [BROADCAST])

    def test_a_nested_call_to_its_own_worker_is_cancelled_there(self) -> None:
        self.caller = CallerInMemory(lambda operation: f"{operation.service}@own/nested")
        self.wire = self.caller.wire
        self.caller.open()
        with serving_call(context()):
            call, _, _ = self.begin(self.caller.client())
        call.cancel()
        self.assertEqual(list(self.cancellations()), [("rpc", "Calculator@own")])

    def test_a_oneway_call_is_never_cancelled_at_its_worker(self) -> None:
        call = self.client.zip()
        outcome_of(call)
        self.request()
        call.cancel()
        self.assertEqual(self.cancellations(), {})

    def test_a_call_that_was_not_sent_is_not_cancelled_at_workers(self) -> None:
        self.wire.close_channel()
        call = self.client.ping()
        outcome_of(call)
        call.cancel()
        self.caller.open()
        self.assertEqual(self.cancellations(), {})

    def test_nothing_is_sent_while_the_broker_blocks_the_connection(self) -> None:
        call, _, request = self.begin()
        self.keepalive(request)
        self.wire.peer.feed(method(0, "connection.blocked", "low on memory"))
        call.cancel()
        self.assertEqual(self.cancellations(), {})

    def test_the_confirm_of_a_cancellation_is_taken_for_no_other(self) -> None:
        call, _, _ = self.begin()
        call.cancel()
        fired = outcome_of(self.client.zip())
        self.wire.confirm(2)
        self.assertEqual(fired, [])
        self.wire.confirm(3)
        self.assertEqual(fired, [None])

    def test_closing_the_connection_cancels_its_calls(self) -> None:
        _, _, first = self.begin()
        _, _, second = self.begin()
        self.caller.subject.close()
        ids = [first.properties.message_id, second.properties.message_id]
        self.assertEqual(self.cancellations(), {BROADCAST: ids})


class GatheredTests(CancellationTestCase):
    """Cancellations that follow each other closely."""

    def cancel(self, calls: int) -> list[str | None]:
        """Begin and cancel so many calls; return their message ids."""
        begun = [self.begin() for _ in range(calls)]
        for call, _, _ in begun:
            call.cancel()
        return [request.properties.message_id for _, _, request in begun]

    def test_the_first_is_sent_at_once_and_the_rest_together_after_the_interval(self) -> None:
        ids = self.cancel(100)
        self.assertEqual(self.cancellations(), {BROADCAST: ids[:1]})
        self.wire.clock.advance(INTERVAL / 2)
        self.assertEqual(self.cancellations(), {})
        self.wire.clock.advance(INTERVAL / 2)
        self.assertEqual(self.cancellations(), {BROADCAST: ids[1:]})

    def test_a_client_sends_one_message_an_interval_however_many_calls_it_cancels(self) -> None:
        sent = []
        for _ in range(20):
            self.cancel(10)
            sent.append(self.cancellations())
            self.wire.clock.advance(INTERVAL)
            sent.append(self.cancellations())
        messages = [len(ids) for found in sent for ids in found.values()]
        self.assertEqual((len(messages), sum(messages)), (21, 200))

    def test_after_a_quiet_interval_a_cancellation_is_sent_at_once(self) -> None:
        self.cancel(1)
        self.cancellations()
        self.wire.clock.advance(INTERVAL)
        self.assertEqual(self.cancellations(), {})
        ids = self.cancel(1)
        self.assertEqual(self.cancellations(), {BROADCAST: ids})

    def test_closing_the_connection_sends_what_is_gathered_and_leaves_no_timer(self) -> None:
        ids = self.cancel(3)
        self.cancellations()
        self.caller.subject.close()
        self.assertEqual(self.cancellations(), {BROADCAST: ids[1:]})
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])

    def test_an_errback_that_cancels_another_call_at_the_end_leaves_no_timer(self) -> None:
        first, second = self.client.ping(), self.client.ping()
        first.addErrback(lambda _: second.cancel())
        second.addErrback(lambda failure: failure.trap(CancelledError))
        self.wire.take()
        self.caller.subject.close()
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])

    def test_what_is_gathered_when_the_channel_is_lost_is_sent_on_the_next_one(self) -> None:
        ids = self.cancel(2)
        self.cancellations()
        self.lose_channel()
        self.wire.clock.advance(INTERVAL)
        self.assertEqual(self.cancellations(), {BROADCAST: ids[1:]})

    def test_no_message_has_more_ids_than_a_worker_reads(self) -> None:
        for _ in range(MOST_IDS + 1):
            self.client.ping().addErrback(lambda failure: failure.trap(ConnectionLost))
        self.wire.take()
        self.caller.subject.close()
        bodies = [published.body for published in self.wire.take()]
        self.assertEqual([body.count(b"\n") + 1 for body in bodies], [MOST_IDS, 1])
        self.assertLess(len(bodies[0]), LONGEST_CANCEL)


class TimedOutTests(CancellationTestCase):
    """Calls whose deadline passes."""

    def test_a_call_at_an_unknown_worker_is_not_cancelled(self) -> None:
        _, fired, _ = self.begin()
        self.wire.clock.advance(601)
        self.assert_fails(fired, CallTimedOut)
        self.assertEqual(self.cancellations(), {})

    def test_calls_are_cancelled_at_known_workers_with_one_message_for_each(self) -> None:
        client = self.caller.client(liveness=100.0, timeout=10.0)
        ids: dict[str, list[Any]] = {"a": [], "b": []}
        for instance in ("a", "b", "a"):
            _, _, request = self.begin(client)
            self.keepalive(request, instance)
            ids[instance].append(request.properties.message_id)
        self.begin(client)
        self.wire.clock.advance(11)
        self.assertEqual(self.cancellations(), {("rpc", "Calculator@a"): ids["a"], ("rpc", "Calculator@b"): ids["b"]})


class AttemptTests(CancellationTestCase):
    """Calls with more than one attempt: all are cancelled."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.caller.client(liveness=2.0, timeout=600.0)

    def lose_worker(self, request: Published, instance: str) -> Published:
        """Let `instance` begin a call and be silent; return the next attempt."""
        self.keepalive(request, instance)
        self.wire.clock.advance(2.02)
        return self.again()

    def test_the_workers_of_both_attempts_are_told(self) -> None:
        call, _, request = self.begin()
        self.keepalive(self.lose_worker(request, "a"), "b")
        call.cancel()
        self.assertEqual(
            self.cancellations(),
            {("rpc", f"Calculator@{worker}"): [request.properties.message_id] for worker in "ab"},
        )

    def test_a_second_attempt_at_an_unknown_worker_is_cancelled_by_broadcast(self) -> None:
        call, _, request = self.begin()
        self.lose_worker(request, "a")
        call.cancel()
        self.assertEqual(list(self.cancellations()), [BROADCAST])

    def test_a_paused_call_is_cancelled_where_it_was(self) -> None:
        call, _, request = self.begin()
        self.keepalive(request, "a")
        self.wire.clock.pump([2.02, 0])
        call.cancel()
        self.assertEqual(list(self.cancellations()), [("rpc", "Calculator@a")])

    def test_a_first_attempt_on_a_lost_channel_may_be_anywhere(self) -> None:
        call, _, _ = self.begin()
        self.lose_channel()
        self.keepalive(self.again(), "b")
        call.cancel()
        self.assertEqual(list(self.cancellations()), [BROADCAST])

    def test_a_refused_attempt_is_at_no_worker(self) -> None:
        client = self.caller.client(liveness=2.0, timeout=600.0, retry=True)
        call, _, request = self.begin(client)
        self.wire.give_back(request)
        self.keepalive(self.again(), "b")
        call.cancel()
        self.assertEqual(list(self.cancellations()), [("rpc", "Calculator@b")])

    def test_a_last_refusal_cancels_the_attempt_before(self) -> None:
        _, fired, request = self.begin()
        second = self.lose_worker(request, "a")
        self.wire.give_back(second)
        self.assert_fails(fired, ServiceUnavailable)
        self.assertEqual(list(self.cancellations()), [("rpc", "Calculator@a")])


class WorkerLostTests(CancellationTestCase):
    """Calls that are given up since their worker is silent."""

    def test_the_silent_worker_is_told_with_one_message(self) -> None:
        outcomes, ids = [], []
        for _ in range(3):
            _, fired, request = self.begin()
            self.keepalive(request, "a")
            outcomes.append(fired)
            ids.append(request.properties.message_id)
        self.wire.clock.advance(2.02)
        self.wire.answer()
        for fired in outcomes:
            self.assert_fails(fired, WorkerLost)
        self.assertEqual(self.cancellations(), {("rpc", "Calculator@a"): ids})

    def test_an_answered_call_is_not_cancelled(self) -> None:
        _, fired, request = self.begin()
        self.keepalive(request, "a")
        self.caller.reply_bytes(request, b"rubbish")
        self.assertEqual((len(fired), self.cancellations()), (1, {}))
