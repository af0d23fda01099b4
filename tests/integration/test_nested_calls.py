"""Calls that handlers make, over a real broker: deadlines, metadata and identity."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredLock, gatherResults

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Numbers, Work
from tests.integration.call_case import CallTestCase, Handler, pause


class NestedTests(CallTestCase):
    """A handler that calls another service."""

    async def test_a_nested_call_inherits_deadline_and_metadata(self) -> None:
        """Through coroutines as well."""
        inner_name = self.unique("inner")
        seen: list[Any] = []
        time_left: list[float] = []

        class Inner(Handler):
            def add(self, num1: int, num2: int) -> Any:
                call: Any = rpc.current_call()
                seen.append(call)
                time_left.append(call.deadline - reactor.seconds())
                return self.hold() if num1 else 0

        class Outer(Handler):
            def __init__(self, connection: rpc.Connection) -> None:
                super().__init__()
                self.inner = connection.client(Calculator, name=inner_name)

            async def sum(self, numbers: Numbers) -> int:
                await pause(0.05)
                for value in numbers.values:
                    await self.inner.add(value, 0)
                return 0

        self.name = self.unique("outer")
        inner = Inner()
        self.serve(rpc.ThriftService(Calculator, inner, name=inner_name))
        await self.client(Calculator, "ping", name=inner_name)
        self.serve(rpc.ThriftService(Calculator, factory=Outer, name=self.name))
        client = await self.client(Calculator, "ping", name=self.name)
        calling = rpc.with_options(client, timeout=2.0, headers={"tenant": "a", "CC": ["x"]})
        self.assertEqual(await calling.sum(Numbers([0, 0])), 0)
        for call, left in zip(seen, time_left, strict=True):
            self.assertLessEqual(left, 2.0 - 0.05)  # counted from its arrival here
            self.assertEqual(dict(call.metadata), {"tenant": "a"})
        hanging = rpc.with_options(client, timeout=0.3)
        while not inner.held:  # a slow machine may take all of the time for the outer call
            await self.assert_fails(hanging.sum(Numbers([1])), rpc.CallTimedOut)
        while not inner.held[0].called:  # it is cancelled, as the outer call is
            await pause()
        self.assertIsNone(rpc.current_call())
        # The deadline of both calls is the same: which of them ends first is chance, and the nested one's is logged.
        self.flushLoggedErrors(rpc.CallTimedOut)


class IdentityTests(CallTestCase):
    """Handlers that wait for each other: a nested call carries the metadata of the call it is made for."""

    async def test_a_lock_lends_no_identity(self) -> None:
        """A handler that releases a lock wakes another one, whose nested calls are its own."""
        inner_name = self.unique("inner")
        seen: list[Any] = []

        class Inner(Handler):
            def add(self, num1: int, num2: int) -> int:
                call = rpc.current_call()
                assert call is not None
                seen.append((num1, call.metadata.get("user")))
                return 0

        class Outer(Handler):
            """Calls wait for a lock as coroutines, by callbacks, or let the lock run a coroutine."""

            def __init__(self, connection: rpc.Connection) -> None:
                super().__init__()
                self.inner = connection.client(Calculator, name=inner_name)
                self.lock = DeferredLock()

            def calculate(self, logid: int, w: Work) -> Deferred[int]:
                if logid % 3 == 1:
                    return Deferred.fromCoroutine(self.calculate_in_turn(logid))
                if logid % 3 == 2:
                    running: Deferred[int] = self.lock.run(self.calculate_alone, logid)
                    return running
                return self.lock.acquire().addCallback(lambda _: self.inner.add(logid, 0)).addCallback(self.released)

            async def calculate_alone(self, logid: int) -> int:
                await self.inner.add(logid, 0)
                await self.inner.add(logid, 0)
                return 0

            async def calculate_in_turn(self, logid: int) -> int:
                await self.lock.acquire()
                await self.inner.add(logid, 0)
                return self.released(0)

            def released(self, result: int) -> int:
                self.lock.release()
                return result

        self.name = self.unique("outer")
        self.serve(rpc.ThriftService(Calculator, Inner(), name=inner_name))
        await self.client(Calculator, "ping", name=inner_name)
        self.serve(rpc.ThriftService(Calculator, factory=Outer, name=self.name))
        client = await self.client(Calculator, "ping", name=self.name)
        await gatherResults(
            [
                rpc.with_options(client, headers={"user": f"user {number}"}).calculate(number, Work())
                for number in range(20)
            ]
        )
        self.assertEqual({number for number, _ in seen}, set(range(20)))
        for number, user in seen:
            # a callback that another handler has woken may have no identity, and never another's
            expected = [f"user {number}"] if number % 3 == 1 else [f"user {number}", None]
            self.assertIn(user, expected)

    async def test_a_request_that_waited_for_a_slot_has_its_own_context(self) -> None:
        """The end of one call starts the next one, from within the code that ended it."""
        users: list[Any] = []

        class Noting(Handler):
            def calculate(self, logid: int, w: Work) -> Deferred[int]:
                call = rpc.current_call()
                users.append(call and call.metadata["user"])
                return super().calculate(logid, w)

        client = await self.serve_and_call(Noting(), concurrency=1, acknowledge="before")
        users.clear()
        calls = [rpc.with_options(client, headers={"user": number}).calculate(number, Work()) for number in range(5)]
        for _ in calls:
            await self.handler.holding(1)
            self.handler.release()
        await gatherResults(calls)
        self.assertEqual(users, list(range(5)))
