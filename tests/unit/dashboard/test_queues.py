"""Questions about queues."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rpc.client.queue_counts import QueueCounts
from rpc.dashboard.queues import AT_ONCE, DOUBTFUL_AT_ONCE, MISSING_FOR, Queues
from rpc.dashboard.readings import QueuedMessages
from rpc.errors import AMQPError, ChannelClosed
from rpc.topology import DeadLetterKind

ADDER = {"Adder": "rpc.Adder"}


class QueuesTests(SynchronousTestCase):
    """With a broker that is a table."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ready: dict[str, int | Exception] = {}
        self.asked: list[str] = []
        self.queues = Queues(self.clock, self.answer)

    def answer(self, queue: str) -> Deferred[Any]:
        """Answer as the broker does."""
        self.asked.append(queue)
        ready = self.ready.get(queue)
        if isinstance(ready, Exception):
            return fail(ready)
        return succeed(None if ready is None else QueueCounts(queue, ready, 1))

    def counts(self, services: dict[str, str]) -> dict[str, QueuedMessages]:
        """Look once; a second passes."""
        self.asked.clear()
        found = self.successResultOf(Deferred.fromCoroutine(self.queues.counts(services)))
        self.clock.advance(1)
        return found

    def test_counts_requests_and_dead_letters_of_all_kinds(self) -> None:
        """A missing queue of dead letters has none."""
        self.ready = {"rpc.Adder": 5, "rpc.Adder.dead": 2, "rpc.Adder.dead.invalid": 3}
        self.assertEqual(self.counts(ADDER), {"Adder": QueuedMessages(5, 5)})

    def test_a_service_may_have_another_queue(self) -> None:
        """The names of its dead letters follow."""
        self.ready = {"jobs": 1, "jobs.dead": 2}
        self.assertEqual(self.counts({"Adder": "jobs"}), {"Adder": QueuedMessages(1, 2)})

    def test_a_missing_queue_is_not_asked_about_each_second(self) -> None:
        """It costs a channel, and a line in the broker's log."""
        self.ready = {"rpc.Adder": 5}
        self.counts(ADDER)
        self.assertEqual(len(self.asked), 4)
        while self.clock.seconds() < MISSING_FOR:
            self.assertEqual(self.counts(ADDER), {"Adder": QueuedMessages(5, 0)})
            self.assertEqual(self.asked, ["rpc.Adder"])
        self.ready["rpc.Adder.dead"] = 1
        self.assertEqual(self.counts(ADDER), {"Adder": QueuedMessages(5, 1)})

    def test_a_queue_that_is_deleted_is_missing(self) -> None:
        """A service without a request queue has no number."""
        self.ready = {"rpc.Adder": 5}
        self.counts(ADDER)
        self.assertFalse(self.queues.is_missing("rpc.Adder"))
        self.ready.clear()
        self.assertEqual(self.counts(ADDER), {"Adder": QueuedMessages(None, 0)})
        self.assertTrue(self.queues.is_missing("rpc.Adder"))

    def test_many_queues_are_asked_about_in_turns(self) -> None:
        """Until then the number of dead letters is not known."""
        services = {f"S{number}": f"rpc.S{number}" for number in range(DOUBTFUL_AT_ONCE)}
        self.ready = dict.fromkeys(services.values(), 0)
        self.assertEqual(set(self.counts(services).values()), {QueuedMessages(0, None)})
        for _ in range(4):
            self.assertLessEqual(len(self.asked), 2 * DOUBTFUL_AT_ONCE)
            found = self.counts(services)
        self.assertEqual(set(found.values()), {QueuedMessages(0, 0)})

    def test_no_queue_waits_for_ever_behind_many_others(self) -> None:
        """More queues are missing than can be asked about until the first of them are asked about again."""
        count = int(MISSING_FOR) * DOUBTFUL_AT_ONCE // len(DeadLetterKind) + 10
        services = {f"S{number}": f"rpc.S{number}" for number in range(count)}
        self.ready = dict.fromkeys(services.values(), 0)
        for _ in range(2 * int(MISSING_FOR)):
            found = self.counts(services)
        self.assertEqual([name for name, each in found.items() if each.dead is None], [])

    def test_few_questions_are_open_at_a_time(self) -> None:
        """Each has a channel."""
        open_questions: list[Deferred[Any]] = []

        def ask(_: str) -> Deferred[Any]:
            open_questions.append(Deferred())
            return open_questions[-1]

        queues = Queues(self.clock, ask)
        counting = Deferred.fromCoroutine(queues.counts({f"S{number}": f"rpc.S{number}" for number in range(40)}))
        self.assertEqual(len(open_questions), AT_ONCE)
        open_questions[0].callback(None)
        self.assertEqual(len(open_questions), AT_ONCE + 1)
        counting.cancel()
        self.failureResultOf(counting)
        self.assertTrue(all(question.called for question in open_questions))

    def test_a_queue_that_cannot_be_looked_at_is_not_missing(self) -> None:
        """Its node is down, or another connection has it alone. The others are told."""
        self.ready = {"rpc.Adder": ChannelClosed(404, "down"), "rpc.Adder.dead": ChannelClosed(405, "locked")}
        self.assertEqual(self.counts(ADDER), {"Adder": QueuedMessages(None, None)})
        self.assertFalse(self.queues.is_missing("rpc.Adder"))
        self.assertTrue(self.queues.is_missing("rpc.Adder.dead.invalid"))
        (problem,) = self.queues.problems
        self.assertEqual(problem, "the broker tells nothing of the queue rpc.Adder, and 1 more: 404 down")
        self.counts(ADDER)
        self.assertEqual(self.asked, [])
        self.counts({})
        self.assertEqual(self.queues.problems, [])

    def test_a_lost_connection_is_an_error(self) -> None:
        """Of the whole look."""
        self.ready = {"rpc.Adder": AMQPError("not connected")}
        self.failureResultOf(Deferred.fromCoroutine(self.queues.counts(ADDER)), AMQPError)

    def test_nothing_is_kept_of_services_that_are_gone(self) -> None:
        """Their names come from peers."""
        self.ready = {"rpc.Adder": 5}
        self.counts(ADDER)
        self.counts({})
        self.assertEqual(self.asked, [])
        self.assertFalse(self.queues.is_missing("rpc.Adder.dead"))
