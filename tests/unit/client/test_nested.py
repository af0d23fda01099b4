"""Nested calls: those that a handler makes for the call it serves."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException
from twisted.internet.defer import Deferred, DeferredLock, inlineCallbacks, succeed

from rpc.context import CallContext, current_call, serving
from rpc.errors import CallTimedOut, Outcome
from tests.unit.amqp.peer import outcome_of
from tests.unit.client.caller_in_memory import AttemptTestCase, Calculator, CallerInMemory, serving_call

REFUSED = TApplicationException(TApplicationException.INTERNAL_ERROR, "no")


def context(deadline: float | None = None, on_waiting: Any = None, **metadata: Any) -> CallContext:
    """A call that is served."""
    return CallContext("Outer", "method", deadline, metadata, "id", False, on_waiting=on_waiting)


class InheritanceTests(AttemptTestCase):
    """The deadline and the metadata of a nested call."""

    def nested(self, served: CallContext, **options: Any) -> list[Any]:
        """Call while serving a call."""
        with serving_call(served):
            return outcome_of(self.caller.client(**options).ping())

    def test_inherits_the_time_left_and_the_metadata(self) -> None:
        """The client's own headers come first."""
        self.nested(context(3.0, tenant="a", colour="red"), headers={"colour": "blue"})
        properties = self.request().properties
        self.assertEqual(properties.expiration, "3000")
        self.assertEqual(properties.headers, {"tenant": "a", "colour": "blue"})
        self.assertEqual((properties.correlation_id, properties.type), (properties.message_id, "Calculator.ping"))

    def test_is_not_sent_when_no_time_is_left(self) -> None:
        self.wire.clock.advance(5)
        for deadline in (5.0, 4.0):
            self.assert_fails(self.nested(context(deadline)), CallTimedOut, Outcome.NOT_SENT)
        self.assertEqual(self.wire.take(), [])

    def test_inherits_nothing_from_an_answered_call(self) -> None:
        served = context(3.0, tenant="a")
        served.answered = True
        self.nested(served)
        self.assertIsNone(self.request().properties.headers)


class WaitingTests(AttemptTestCase):
    """The call being served waits for its nested calls."""

    def setUp(self) -> None:
        super().setUp()
        self.waits: list[int] = []
        self.context = context(on_waiting=self.waits.append)

    def nested(self) -> Any:
        """Make a nested call."""
        with serving_call(self.context):
            return self.client.ping()

    def test_waits_from_its_first_nested_call_to_the_end_of_the_last(self) -> None:
        first, second = self.nested(), self.nested()
        outcome_of(second)
        self.assertEqual(self.waits, [1])
        request, _ = self.wire.take()
        self.caller.reply(request, Calculator.ping_result())
        self.assertEqual((self.successResultOf(first), self.waits), (None, [1]))
        second.cancel()
        self.assertEqual(self.waits, [1, -1])
        self.assertFalse(self.context.waits)

    def test_an_answered_call_waits_no_more(self) -> None:
        outcome_of(call := self.nested())
        self.context.answered = True
        call.cancel()
        self.assertEqual(self.waits, [1])


class RouteTests(AttemptTestCase):
    """The routing keys of nested calls."""

    def setUp(self) -> None:
        self.key: str | None = "Calculator@own"
        self.caller = CallerInMemory(lambda operation: self.key)
        self.wire = self.caller.wire
        self.caller.open()
        self.client = self.caller.client()

    def nested(self) -> Any:
        """Make a nested call."""
        with serving_call(context()):
            return self.client.ping()

    def test_a_nested_call_has_its_own_route(self) -> None:
        self.nested()
        self.assertEqual(self.request().routing_key, "Calculator@own")
        self.client.ping()
        self.assertEqual(self.request().routing_key, "Calculator")

    def test_a_nested_call_without_a_route_waits_for_one(self) -> None:
        self.key = None
        fired = outcome_of(self.nested())
        self.assertEqual(self.wire.take(), [])
        self.key = "own"
        self.caller.subject.send_waiting()
        self.caller.reply(self.request(), Calculator.ping_result())
        self.assertEqual((fired, self.caller.leftovers()), ([None], []))


class IdentityTests(AttemptTestCase):
    """Code has the context of the call that it works for, and no other's."""

    def setUp(self) -> None:
        super().setUp()
        self.ann, self.bob = context(user="Ann"), context(user="Bob")
        self.seen: list[Any] = []

    def see(self, _: object = None) -> None:
        """Note the call being served."""
        found = current_call()
        self.seen.append(found and found.metadata["user"])

    def answer(self) -> None:
        """Answer the call that was made."""
        self.caller.reply(self.request(), Calculator.ping_result())

    def test_callbacks_of_a_nested_call_have_the_context_of_the_code_that_added_them(self) -> None:
        for result in (Calculator.ping_result(), REFUSED):
            with serving_call(self.ann):
                call = self.client.ping().addBoth(self.see).addCallback(self.see)
            with serving_call(self.bob):
                call.addCallbacks(self.see, self.see)
            call.addBoth(self.see)
            with serving_call(self.ann):
                call.addErrback(self.see)
            self.caller.reply(self.request(), result)
            self.assertEqual(self.seen, ["Ann", "Ann", "Bob", None])
            self.seen.clear()
        self.assertIsNone(current_call())

    def test_a_callback_added_to_a_settled_nested_call_has_the_context(self) -> None:
        with serving_call(self.ann):
            call = self.client.ping()
        self.answer()
        with serving_call(self.bob):
            call.addCallback(self.see)
        self.assertEqual(self.seen, ["Bob"])

    def test_a_nested_call_in_a_callback_inherits(self) -> None:
        with serving_call(self.ann):
            self.client.ping().addCallback(lambda _: self.client.ping())
        self.answer()
        self.assertEqual(self.request().properties.headers, {"user": "Ann"})

    def test_an_errback_keeps_its_context(self) -> None:
        with serving_call(self.ann):
            self.client.ping().addErrback(self.see)
        self.caller.reply(self.request(), REFUSED)
        self.assertEqual(self.seen, ["Ann"])

    def test_a_coroutine_keeps_its_context_whoever_wakes_it(self) -> None:
        lock = DeferredLock()

        async def handle() -> None:
            await lock.acquire()
            self.see()
            await self.client.ping()
            self.see()
            lock.release()
            self.see()

        with serving_call(self.ann):
            Deferred.fromCoroutine(handle())
        with serving_call(self.bob):
            Deferred.fromCoroutine(handle())
        self.answer()
        self.answer()
        self.assertEqual(sorted(self.seen), ["Ann"] * 3 + ["Bob"] * 3)

    def test_coroutines_that_a_lock_runs_have_no_context_of_another(self) -> None:
        lock = DeferredLock()

        async def work(own: str) -> None:
            await self.client.ping()
            found = current_call()
            self.seen.append((own, found and found.metadata["user"]))

        async def handle(own: str) -> None:
            await lock.run(work, own)

        for served, own in ((self.ann, "Ann"), (self.bob, "Bob"), (self.ann, "Ann")):
            with serving_call(served):
                Deferred.fromCoroutine(handle(own))
        for _ in range(3):
            self.answer()
        self.assertEqual(self.seen, [("Ann", "Ann"), ("Bob", None), ("Ann", None)])

    def test_a_generator_keeps_its_context(self) -> None:
        @inlineCallbacks
        def handle() -> Any:
            yield self.client.ping()
            self.see()

        with serving_call(self.ann):
            handle()
        with serving_call(self.bob):
            self.answer()
        self.assertEqual(self.seen, ["Ann"])

    def test_a_waiter_that_another_handler_wakes_has_no_context(self) -> None:
        lock = DeferredLock()
        lock.acquire()
        with serving_call(self.bob):
            lock.acquire().addCallback(self.see).addCallback(lambda _: self.client.ping())
        with serving_call(self.ann):
            lock.release()
            self.see()
        self.assertEqual(self.seen, [None, "Ann"])
        self.assertIsNone(self.request().properties.headers)

    def test_a_waiter_that_a_coroutine_wakes_has_no_context(self) -> None:
        woken: Deferred[None] = Deferred()
        woken.addCallback(self.see)

        async def handle() -> None:
            await self.client.ping()
            woken.callback(None)
            self.see()

        with serving_call(self.ann):
            Deferred.fromCoroutine(handle())
        self.answer()
        self.assertEqual(self.seen, [None, "Ann"])

    def test_a_coroutine_that_another_handler_starts_has_no_context_at_first(self) -> None:
        async def handle() -> None:
            self.see()

        woken: Deferred[None] = Deferred()
        woken.addCallback(lambda _: Deferred.fromCoroutine(handle()))
        with serving_call(self.ann):
            woken.callback(None)
        self.assertEqual(self.seen, [None])

    def test_a_coroutine_that_another_handler_starts_has_no_context_afterwards_either(self) -> None:
        """Ann releases a lock, which begins Bob's work: his later calls must not carry her name."""
        lock = DeferredLock()
        held = lock.acquire()

        async def work() -> None:
            await self.client.ping()
            self.see()
            await self.client.ping()
            self.see()

        with serving_call(self.bob):
            lock.run(work)
        with serving_call(self.ann):
            self.assertEqual(outcome_of(held), [lock])
            lock.release()
            self.see()
        for _ in range(2):
            request = self.request()
            self.assertIsNone(request.properties.headers)
            self.caller.reply(request, Calculator.ping_result())
        self.assertEqual(self.seen, ["Ann", None, None])

    def test_a_coroutine_that_asks_for_its_context_at_first_has_none_afterwards(self) -> None:
        """It waits for something else than a call."""
        later: Deferred[None] = Deferred()

        async def work() -> None:
            self.see()
            await later
            self.see()

        woken: Deferred[None] = Deferred()
        woken.addCallback(lambda _: Deferred.fromCoroutine(work()))
        with serving_call(self.ann):
            woken.callback(None)
            self.see()
        later.callback(None)
        self.assertEqual(self.seen, [None, "Ann", None])

    def test_a_callback_added_to_a_fired_deferred_is_the_handlers_own_code(self) -> None:
        with serving_call(self.ann):
            succeed(None).addCallback(self.see)
        self.assertEqual(self.seen, ["Ann"])

    def test_settling_a_call_of_another_handler_lends_no_context(self) -> None:
        with serving_call(self.bob):
            call = self.client.ping()
        shared = call.addErrback(lambda _: None)
        shared.addCallback(self.see)
        with serving_call(self.ann):
            call.cancel()
        self.assertEqual(self.seen, [None])
        self.assertIsNone(serving.get())


class ReplyHeaderTests(AttemptTestCase):
    """The metadata that a handler gives its reply."""

    def test_is_made_when_it_is_asked_for(self) -> None:
        served = context()
        self.assertFalse(served.has_reply_headers)
        served.reply_headers["a"] = 1
        self.assertEqual((served.has_reply_headers, served.reply_headers), (True, {"a": 1}))
