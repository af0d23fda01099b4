"""Calls over a real broker: the promises to callers and to handlers."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TTransportException
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList, DeferredLock, gatherResults, inlineCallbacks
from twisted.internet.task import deferLater

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation, Numbers, Work
from generated.shared.ttypes import SharedStruct
from rpc.envelope import CODECS
from rpc.topology import BROADCAST
from tests.processes import WorkerProcess
from tests.services.support import ServiceTestCase

PROJECT = Path(__file__).parents[2]


def pause(seconds: float = 0.0) -> Deferred[None]:
    """Fires later, with nothing."""
    waited: Deferred[None] = deferLater(reactor, seconds)
    return waited


class Handler:
    """A calculator whose calls the test can hold.

    :ivar held: calls that wait, in order: fire them to let them go on.
    :ivar most: the most that ran at once.
    """

    def __init__(self) -> None:
        self.held: list[Deferred[int]] = []
        self.arrived: list[Deferred[None]] = []
        self.ran: list[Any] = []
        self.running = self.most = 0

    def hold(self) -> Deferred[int]:
        """Hold a call."""
        held: Deferred[int] = Deferred()
        self.held.append(held)
        for waiting in self.arrived[:]:
            self.arrived.remove(waiting)
            waiting.callback(None)
        return held

    async def holding(self, count: int) -> None:
        """Wait until so many calls are held."""
        while len(self.held) < count:
            arrived: Deferred[None] = Deferred()
            self.arrived.append(arrived)
            await arrived

    def release(self) -> None:
        """Let all held calls go on."""
        held, self.held = self.held, []
        for call in held:
            call.callback(7)

    def ping(self) -> None:
        self.ran.append("ping")

    def add(self, num1: int, num2: int) -> int:
        return num1 + num2

    def calculate(self, logid: int, w: Work) -> Deferred[int]:
        self.ran.append(logid)
        self.running += 1
        self.most = max(self.most, self.running)

        def done(result: int) -> int:
            self.running -= 1
            return result

        return self.hold().addCallback(done)

    async def sum(self, numbers: Numbers) -> int:
        await pause()
        return sum(numbers.values)

    @inlineCallbacks
    def echo(self, work: Work) -> Any:
        yield pause()
        return work

    def blob(self, data: bytes) -> bytes:
        return data

    def getStruct(self, key: int) -> SharedStruct:
        return SharedStruct(key, "text")

    def zip(self) -> Any:
        self.ran.append("zip")


class CallTestCase(ServiceTestCase):
    """A service under a name of its own, and a client of it."""

    timeout = 60.0

    async def serve_and_call(self, handler: Any = None, **options: Any) -> Any:
        """Serve, and give a client when the service answers; ``self.name``, ``self.handler`` and ``self.worker``."""
        self.name = self.unique("Calculator")
        self.handler = handler or Handler()
        self.worker = self.serve(rpc.ThriftService(Calculator, self.handler, name=self.name, **options))
        client = await self.client(Calculator, "ping", name=self.name)
        self.handler.ran = []
        return client

    def execution(self) -> Any:
        """Return the part that runs the requests of the first service."""
        return next(iter(self.worker._served.values())).dispatcher._execution

    async def assert_fails(self, call: Deferred[Any], error: type[Exception], outcome: Any = None) -> Any:
        """The call fails with `error`, which is returned."""
        try:
            result = await call
        except error as caught:
            if outcome is not None:
                self.assertIs(caught.outcome, outcome)  # type: ignore[attr-defined]
            return caught
        raise AssertionError(f"no {error.__name__} but {result!r}")


class AnswerTests(CallTestCase):
    """Results."""

    async def test_every_kind_of_handler_answers_in_every_protocol(self) -> None:
        """PITFALLS, stubs 13: values, Deferreds, coroutines, inlineCallbacks, inherited methods."""
        client = await self.serve_and_call()
        for protocol in CODECS:
            speaking = rpc.with_options(client, protocol=protocol)
            self.assertEqual(await speaking.add(2, num2=3), 5)
            self.assertEqual(await speaking.sum(Numbers([1, 2, 2**40])), 2**40 + 3)
            self.assertEqual(await speaking.echo(Work(1, 2, comment="é𝄞")), Work(1, 2, comment="é𝄞"))
            self.assertEqual(await speaking.getStruct(5), SharedStruct(5, "text"))
            self.assertIsNone(await speaking.ping())
            self.assertIsNone(await speaking.zip())
            for data in (b"", b"\0", bytes(range(256)) * 1000):
                self.assertEqual(await speaking.blob(data), data)
            held = speaking.calculate(1, Work())
            await self.handler.holding(1)
            self.handler.release()
            self.assertEqual(await held, 7)

    async def test_large_bodies_come_back_equal(self) -> None:
        """Around the size of a frame, of a megabyte and of the limit."""
        client = await self.serve_and_call()
        for size in (1, 131072 - 50, 131072 - 8, 131072 + 1, 2**20, 2**24 - 100):
            data = os.urandom(size)
            self.assertTrue(await client.blob(data) == data, size)

    async def test_exceptions_of_the_idl_arrive_as_themselves(self) -> None:
        error = InvalidOperation(4, "zero")

        class Fails(Handler):
            def add(self, num1: int, num2: int) -> int:
                raise error

            async def sum(self, numbers: Numbers) -> int:
                raise error

            @inlineCallbacks
            def calculate(self, logid: int, w: Work) -> Any:
                yield pause()
                raise error

        client = await self.serve_and_call(Fails())
        for call in (client.add(1, 2), client.sum(Numbers([])), client.calculate(1, Work())):
            self.assertEqual(await self.assert_fails(call, InvalidOperation), error)

    async def test_other_errors_are_logged_and_the_caller_is_told_no_more(self) -> None:
        """PITFALLS, stubs 7 and 8: Thrift's transport errors too."""

        class Fails(Handler):
            def add(self, num1: int, num2: int) -> int:
                raise TTransportException(message="secret")

            async def sum(self, numbers: Numbers) -> int:
                raise ValueError("secret")

            @inlineCallbacks
            def echo(self, work: Work) -> Any:
                yield pause()
                raise SystemExit("secret")

            def blob(self, data: bytes) -> Any:
                sys.exit("secret")

            def getStruct(self, key: int) -> Any:
                return "no struct"

            def calculate(self, logid: int, w: Work) -> Any:
                return 2**31

        client = await self.serve_and_call(Fails())
        for name, arguments, logged in (
            ("add", (1, 2), TTransportException),
            ("sum", (Numbers([]),), ValueError),
            ("echo", (Work(),), SystemExit),
            ("blob", (b"",), SystemExit),
            ("getStruct", (1,), Exception),
            ("calculate", (1, Work()), OverflowError),
        ):
            error = await self.assert_fails(getattr(client, name)(*arguments), TApplicationException)
            self.assertEqual(error.type, TApplicationException.INTERNAL_ERROR)
            self.assertNotIn("secret", str(error))
            (failure,) = self.flushLoggedErrors()
            self.assertIsInstance(failure.value, logged)
            where = "encode" if name in ("getStruct", "calculate") else name
            self.assertIn(f"in {where}\n", failure.getTraceback())
        self.assertIsNone(await client.ping())

    async def test_a_oneway_call_fires_when_the_broker_has_it(self) -> None:
        """Errors of its handler are logged only."""

        class Slow(Handler):
            def zip(self) -> Any:
                self.ran.append("zip")
                return self.hold().addCallback(lambda _: 1 / 0)

        client = await self.serve_and_call(Slow())
        self.assertIsNone(await client.zip())
        await self.handler.holding(1)
        self.handler.release()
        self.assertIsNone(await client.ping())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.handler.ran, ["zip", "ping"])

    async def test_pipelined_calls_get_their_own_results(self) -> None:
        client = await self.serve_and_call()
        results = await gatherResults([client.add(number, 1) for number in range(20_000)])
        self.assertEqual(results, list(range(1, 20_001)))
        self.assertEqual(client._caller.pending.calls, {})


class FailureTests(CallTestCase):
    """Errors."""

    async def test_a_service_without_a_worker_is_unavailable_at_once(self) -> None:
        """The same applies to an instance that is gone."""
        client = await self.serve_and_call()
        began = reactor.seconds()
        for name in (self.unique("Nobody"), f"{self.name}@nobody"):
            stranger = rpc.with_options(client, name=name)
            for call in (stranger.ping(), stranger.zip()):
                error = await self.assert_fails(call, rpc.ServiceUnavailable, rpc.Outcome.REJECTED)
                self.assertIn(name, str(error))
        self.assertLess(reactor.seconds() - began, 5)

    async def test_a_full_backlog_is_overloaded(self) -> None:
        """Accepted calls are answered."""
        client = await self.serve_and_call(concurrency=1, backlog=1)
        first = client.calculate(0, Work())
        await self.handler.holding(1)
        others = [client.calculate(number, Work()) for number in range(1, 6)]
        outcomes: Any = DeferredList(others, consumeErrors=True)
        refused = 0
        while not outcomes.called:
            await pause()
            self.handler.release()
        for success, result in await outcomes:
            if success:
                self.assertEqual(result, 7)
            else:
                refused += 1
                self.assertIsInstance(result.value, rpc.Overloaded)
                self.assertIs(result.value.outcome, rpc.Outcome.REJECTED)
        self.assertEqual(await first, 7)
        self.assertGreaterEqual(refused, 3)
        self.assertEqual(len(self.handler.ran), 6 - refused)

    async def test_messages_over_the_limits_are_rejected(self) -> None:
        """Of the client: not sent. Of the service: rejected. A reply: an error."""
        client = await self.serve_and_call(max_message_size=10_000)
        careful = rpc.with_options(client, max_message_size=5_000)
        await self.assert_fails(careful.blob(b"x" * 5_000), rpc.MessageTooLarge, rpc.Outcome.NOT_SENT)
        for protocol in CODECS:
            speaking = rpc.with_options(client, protocol=protocol)
            error = await self.assert_fails(speaking.blob(b"x" * 10_000), rpc.MessageTooLarge, rpc.Outcome.REJECTED)
            self.assertIn("max_message_size of 10000", str(error))
        self.execution()._handlers["blob"] = lambda data: data * 3
        too_large = await self.assert_fails(client.blob(b"x" * 5_000), TApplicationException)
        self.assertIn("too large", str(too_large))

    async def test_a_call_ends_at_its_deadline(self) -> None:
        """It leaves nothing, and its late reply finds no call."""
        client = await self.serve_and_call()
        impatient = rpc.with_options(client, timeout=0.2)
        await self.assert_fails(impatient.calculate(1, Work()), rpc.CallTimedOut, rpc.Outcome.UNKNOWN)
        self.assertEqual(client._caller.pending.calls, {})
        self.handler.release()
        self.assertEqual(await client.add(1, 2), 3)

    async def test_expired_requests_are_not_run(self) -> None:
        """The broker drops a request that expires in its queue."""
        client = await self.serve_and_call(concurrency=1)
        first = client.calculate(1, Work())
        await self.handler.holding(1)
        impatient = rpc.with_options(client, timeout=0.1)
        await DeferredList([impatient.calculate(number, Work()) for number in range(2, 5)], consumeErrors=True)
        self.handler.release()
        await first
        await client.ping()
        self.assertEqual(self.handler.ran, [1, "ping"])

    async def test_a_cancelled_call_harms_no_other(self) -> None:
        client = await self.serve_and_call()
        call, other = client.calculate(1, Work()), client.calculate(2, Work())
        await self.handler.holding(2)
        call.cancel()
        await self.assert_fails(call, CancelledError)
        self.handler.release()
        self.assertEqual(await other, 7)

    async def test_a_method_that_the_worker_lacks_is_unknown_method(self) -> None:
        """As a oneway it is no answer."""
        client = await self.serve_and_call()
        execution = self.execution()
        methods = execution._methods
        execution._methods = {name: methods[name] for name in methods if name not in ("add", "zip")}
        error = await self.assert_fails(client.add(1, 2), TApplicationException)
        self.assertEqual(error.type, TApplicationException.UNKNOWN_METHOD)
        await client.zip()
        self.assertIsNone(await client.ping())
        self.assertEqual(client._caller.incoming.late_replies, 0)


class NestedTests(CallTestCase):
    """A handler that calls another service."""

    async def test_a_nested_call_inherits_deadline_and_metadata(self) -> None:
        """Through coroutines as well."""
        inner_name = self.unique("inner")
        seen: list[Any] = []

        class Inner(Handler):
            def add(self, num1: int, num2: int) -> Any:
                seen.append(rpc.current_call())
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
        began = reactor.seconds()
        self.assertEqual(await calling.sum(Numbers([0, 0])), 0)
        for call in seen:
            self.assertLessEqual(call.deadline, began + 2.01)
            self.assertEqual(dict(call.metadata), {"tenant": "a"})
        hanging = rpc.with_options(client, timeout=0.3)
        await self.assert_fails(hanging.sum(Numbers([1])), rpc.CallTimedOut)
        while not inner.held[0].called:  # it is cancelled, as the outer call is
            await pause()
        self.assertIsNone(rpc.current_call())


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


class WithReplyTests(CallTestCase):
    """Replies with their metadata, and calls without a stub."""

    async def test_with_reply_gives_value_and_metadata(self) -> None:
        client = await self.serve_and_call()
        for protocol in CODECS:
            speaking = rpc.with_options(client, protocol=protocol)
            self.assertEqual(await rpc.with_reply(speaking.add, 1, num2=2), rpc.Reply(3, {}))
        self.assertEqual(await rpc.with_reply(client.zip), rpc.Reply(None, {}))

    async def test_raw_messages_in_each_protocol(self) -> None:
        """The reply has the seqid of the request; an exception is a reply."""
        await self.serve_and_call()
        connection = await self.connect()
        stub: Any = Calculator
        for protocol, codec in CODECS.items():
            message = codec.encode("add", TMessageType.CALL, 2**31 - 1, stub.add_args(1, 2))
            reply = await connection.call_raw(self.name, message, protocol=protocol, headers={"a": 1}, timeout=10.0)
            expected = codec.encode("add", TMessageType.REPLY, 2**31 - 1, stub.add_result(3))
            self.assertEqual(reply, rpc.RawReply(expected, {}))
            unknown = codec.encode("unknown", TMessageType.CALL, 7, stub.add_args(1, 2))
            reply = await connection.call_raw(self.name, unknown, protocol=protocol)
            self.assertEqual(codec.read_header(reply.message)[:3], ("unknown", TMessageType.EXCEPTION, 7))

    async def test_raw_oneway_messages_are_run(self) -> None:
        client = await self.serve_and_call()
        connection = await self.connect()
        stub: Any = Calculator
        message = CODECS["binary"].encode("zip", TMessageType.ONEWAY, 0, stub.zip_args())
        self.assertEqual(await connection.call_raw(self.name, message), rpc.RawReply(b"", {}))
        await client.ping()
        self.assertIn("zip", self.handler.ran)

    async def test_raw_messages_to_no_service_are_unroutable(self) -> None:
        connection = await self.connect()
        message = CODECS["binary"].encode("ping", TMessageType.CALL, 1, Calculator.ping_args())  # type: ignore[attr-defined]
        await self.assert_fails(connection.call_raw(self.unique("none"), message), rpc.ServiceUnavailable)


class BacklogTests(CallTestCase):
    """A queue that is full."""

    async def test_a_full_backlog_harms_no_other_service(self) -> None:
        """Its callers get Overloaded at once, for longer than the checks of the channel's health take."""
        full = self.unique("full")
        stuck = Handler()
        self.serve(rpc.ThriftService(Calculator, stuck, name=full, backlog=1, concurrency=1))
        await self.client(Calculator, "ping", name=full)
        client = await self.serve_and_call()
        overloading = client._caller_to("rpc").channel
        connection = await self.connect()
        filling = connection.client(Calculator, name=full)
        for number in range(2):
            filling.calculate(number, Work()).addErrback(lambda _: None)
            await pause(0.1)
        other = rpc.with_options(client, name=full)
        waiting = client.calculate(1, Work())
        for _ in range(15):
            await self.assert_fails(other.ping(), rpc.Overloaded, rpc.Outcome.REJECTED)
            await pause(0.1)
        self.assertIs(client._caller.channel, overloading)
        self.handler.release()
        self.assertEqual(await waiting, 7)
        stuck.release()
        await pause(0.1)
        stuck.release()


class RoutingTests(CallTestCase):
    """One worker of many, and all of them."""

    async def test_reaches_one_instance_or_all_workers(self) -> None:
        """``<service>@<instance>`` reaches one worker, the broadcast exchange all; the first answer wins."""
        client = await self.serve_and_call()
        second = Handler()
        worker = self.serve(rpc.ThriftService(Calculator, second, name=self.name))
        to_second = rpc.with_options(client, name=f"{self.name}@{worker.instance}")
        for _ in range(5):
            while True:
                try:
                    await to_second.ping()
                except rpc.ServiceUnavailable:
                    continue
                break
        self.assertEqual((self.handler.ran, second.ran), ([], ["ping"] * 5))
        second.ran.clear()
        everybody = rpc.with_options(client, exchange=BROADCAST)
        await everybody.zip()
        self.assertEqual(await everybody.add(1, 2), 3)
        while client._caller.incoming.late_replies == 0:
            await pause()
        self.assertEqual((self.handler.ran, second.ran), (["zip"], ["zip"]))


class ConcurrencyTests(CallTestCase):
    """How much runs at once, and when it is acknowledged."""

    async def assert_never_more_than(self, limit: int, acknowledge: str) -> None:
        """Over both of a worker's queues, never more than `limit` calls run at once, and all are answered."""
        client = await self.serve_and_call(concurrency=limit, acknowledge=acknowledge)
        own = rpc.with_options(client, name=f"{self.name}@{self.worker.instance}")
        calls = [sender.calculate(number, Work()) for number in range(20) for sender in (client, own)]
        done = gatherResults(calls)
        for left in range(len(calls), 0, -1):
            await self.handler.holding(min(limit, left))
            self.handler.held.pop(0).callback(7)
        self.assertEqual(await done, [7] * 40)
        self.assertEqual(self.handler.most, limit)
        self.assertEqual(len(self.handler.ran), 40)

    async def test_concurrency_is_the_limit_when_acknowledging_after(self) -> None:
        """PITFALLS, stubs: concurrency is prefetch and limit when acknowledging after."""
        await self.assert_never_more_than(3, "after")

    async def test_concurrency_is_the_limit_when_acknowledging_before(self) -> None:
        """Prefetch cannot hold it then."""
        await self.assert_never_more_than(3, "before")

    async def test_a_request_runs_once_in_a_worker_that_loses_its_connection(self) -> None:
        """Its redelivery joins the run in progress; when acknowledging before, there is none."""
        for acknowledge in ("after", "before"):
            client = await self.serve_and_call(acknowledge=acknowledge)
            call = client.calculate(1, Work())
            fired: list[Any] = []
            call.addBoth(fired.append)
            await self.handler.holding(1)
            await pause(0.05)
            connection = self.worker._link.connection
            connection.transport.abortConnection()  # type: ignore[union-attr]
            while self.worker._link.connection in (None, connection) or not self.worker.is_serving:
                await pause(0.02)
            await rpc.with_options(client, timeout=10.0).ping()
            self.assertEqual([ran for ran in self.handler.ran if ran != "ping"], [1])
            self.handler.release()
            await call
            self.assertEqual(fired, [7])


class LeavingTests(CallTestCase):
    """Workers and clients that go."""

    async def test_stopping_worker_loses_nothing(self) -> None:
        """A stopping worker finishes its calls in progress. The others run in another worker; each runs once."""
        client = await self.serve_and_call(concurrency=5)
        calls = gatherResults([client.calculate(number, Work()) for number in range(50)])
        await self.handler.holding(5)
        stopped = self.worker.stopService()
        second = Handler()
        self.serve(rpc.ThriftService(Calculator, second, name=self.name, concurrency=5))
        await second.holding(5)
        self.assertFalse(stopped.called)
        self.handler.release()
        await stopped
        self.assertEqual(len(self.handler.ran), 5)
        while not calls.called:
            second.release()
            await pause()
        self.assertEqual(await calls, [7] * 50)
        self.assertEqual(sorted(self.handler.ran + second.ran), list(range(50)))

    async def test_calls_of_a_killed_worker_are_run_by_another(self) -> None:
        self.name = self.unique("killed")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "served.py").write_text(
                textwrap.dedent(f"""\
                    import rpc
                    from generated.calculator import Calculator
                    from tests.integration.test_calls import Handler
                    service = rpc.ThriftService(Calculator, Handler(), name={self.name!r}, concurrency=200)
                    """)
            )
            path = os.pathsep.join([folder, str(PROJECT)])
            with WorkerProcess(
                "rpc-worker",
                "--broker",
                self.url,
                "served:service",
                folder=Path(folder),
                environment={"PYTHONPATH": path},
            ) as process:
                process.wait_until_serving(self.name)
                client = await self.client(Calculator, "ping", name=self.name)
                calls = gatherResults([client.calculate(number, Work()) for number in range(100)])
                await client.ping()
                process.send(signal.SIGKILL)
                handler = Handler()
                self.serve(rpc.ThriftService(Calculator, handler, name=self.name, concurrency=100))
                await handler.holding(100)
                handler.release()
                self.assertEqual(await calls, [7] * 100)

    async def test_closing_the_connection_settles_its_calls(self) -> None:
        """Later calls fail at once."""
        client = await self.serve_and_call()
        connection = await self.connect()
        leaving = connection.client(Calculator, name=self.name)
        call = leaving.calculate(1, Work())
        failing = self.assert_fails(call, rpc.ConnectionLost, rpc.Outcome.UNKNOWN)
        await self.handler.holding(1)
        await connection.close()
        await failing
        await self.assert_fails(leaving.ping(), rpc.ConnectionLost, rpc.Outcome.NOT_SENT)
        self.handler.release()
        self.assertEqual(await client.add(1, 2), 3)

    async def test_a_lost_connection_fails_the_calls_sent(self) -> None:
        """Later calls wait for the next connection."""
        client = await self.serve_and_call()
        call = client.calculate(1, Work())
        await self.handler.holding(1)
        client._caller.channel.client.transport.abortConnection()
        await self.assert_fails(call, rpc.ConnectionLost, rpc.Outcome.UNKNOWN)
        self.assertEqual(await client.add(1, 2), 3)
        self.handler.release()


class LateBrokerTests(CallTestCase):
    """A broker that comes after its callers."""

    own_broker = True
    timeout = 90.0

    async def test_calls_wait_for_the_broker(self) -> None:
        """Calls that are out of time were not sent."""
        self.broker.stop()
        connection = rpc.Connection(self.url)
        connection.startService()
        self.addCleanup(connection.stopService)
        client = connection.client(Calculator, timeout=60.0)
        self.serve(rpc.ThriftService(Calculator, Handler()))
        waiting = DeferredList([client.zip(), client.zip()], consumeErrors=True)
        impatient = rpc.with_options(client, timeout=0.3)
        error = await self.assert_fails(impatient.ping(), rpc.CallTimedOut, rpc.Outcome.NOT_SENT)
        self.assertIn("not sent before the deadline", str(error))
        self.broker.start()
        for success, result in await waiting:
            # A call that comes before the first worker has no queue, and is returned.
            self.assertTrue(success or isinstance(result.value, rpc.ServiceUnavailable), result)
        while True:
            try:
                self.assertEqual(await client.add(1, 2), 3)
            except rpc.ServiceUnavailable:
                continue
            break
