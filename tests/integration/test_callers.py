"""Callers: users of the broker, the calls that they may make, and interceptors at both ends of real calls."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from thrift.Thrift import TMessageType
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Work
from rpc.amqp.delegate import Credentials
from rpc.envelope import CODECS
from tests.integration.call_case import CallTestCase, Handler, pause
from tests.integration.dead_case import COMMAND, PROJECT


class Seeing(Handler):
    """A calculator that notes its callers.

    :ivar callers: user and program of each call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.callers: list[tuple[str | None, str | None]] = []

    def _note(self) -> None:
        call = rpc.current_call()
        assert call is not None
        self.callers.append((call.user_id, call.app_id))

    def add(self, num1: int, num2: int) -> int:
        self._note()
        return num1 + num2

    def calculate(self, logid: int, w: Work) -> Any:
        self._note()
        return super().calculate(logid, w)

    def zip(self) -> None:
        self._note()


class UserTestCase(CallTestCase):
    """Services that guest serves, and two users call. The users are made once: it takes RabbitMQ seconds.

    :ivar ada, eve: names of users.
    :ivar name: of the test's service.
    """

    users: ClassVar[dict[int, tuple[str, str]]] = {}

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.name = self.unique("Calculator")
        port = self.broker.port
        if port not in self.users:
            made = self.unique("ada"), self.unique("eve")
            for user in made:
                await deferToThread(self.broker.add_user, user, "secret", "/")
            self.users[port] = made
        self.ada, self.eve = self.users[port]

    async def connection_of(self, user: str, **options: Any) -> rpc.Connection:
        """Connect as a user."""
        connection = await rpc.connect(f"amqp://{user}:secret@127.0.0.1:{self.broker.port}", **options)
        self.addCleanup(connection.close)
        return connection

    async def serve_to_users(self, **options: Any) -> Seeing:
        """Serve, and return the handler when the service is consumed."""
        handler = Seeing()
        self.worker = self.serve(rpc.ThriftService(Calculator, handler, name=self.name, **options))
        await self.worker.when_serving()
        return handler

    async def client_of(self, user: str, **options: Any) -> Any:
        """Return a client that names its user."""
        connection = await self.connection_of(user)
        given: Any = {"name": self.name, "user_id": True} | options
        return connection.client(Calculator, **given)


class AccessTests(UserTestCase):
    """``allow``, by the users that the broker has verified."""

    async def test_allows_one_user_and_denies_another(self) -> None:
        """The error is ``AccessDenied``, surely not executed; also for a call without a user, and for its retries."""
        handler = await self.serve_to_users(allow={"add": [self.ada, "nobody-*"], "ping": True})
        ada, eve = await self.client_of(self.ada, app_id="ask"), await self.client_of(self.eve, retry=True)
        self.assertEqual(await ada.add(1, 2), 3)
        for client, method in ((eve, "add"), (rpc.with_options(ada, user_id=False), "add"), (ada, "zip")):
            if method == "zip":
                await client.zip()  # oneway: the broker has it
                continue
            error = await self.assert_fails(client.add(1, 2), rpc.AccessDenied, rpc.Outcome.REJECTED)
            self.assertEqual(error.attempts, 1)
        await eve.ping()
        await rpc.with_options(eve, user_id=False).ping()
        self.assertEqual(handler.callers, [(self.ada, "ask")])

    async def test_a_lie_is_found_by_the_broker(self) -> None:
        """It closes the channel (406). The call fails at once; the worker never sees the request."""
        handler = await self.serve_to_users(allow=self.ada)
        eve = await self.client_of(self.eve, user_id=self.ada, timeout=10.0)
        error = await self.assert_fails(eve.add(1, 2), rpc.AccessDenied, rpc.Outcome.REJECTED)
        self.assertIn("406", str(error))
        self.assertIn("user_id", str(error))
        self.assertEqual(handler.callers, [])
        honest = rpc.with_options(eve, user_id=True)
        await self.assert_fails(honest.add(1, 2), rpc.AccessDenied)

    async def test_asks_a_function_that_makes_calls(self) -> None:
        """The answer is another service's: its call is nested in the one that is decided on."""
        asked: list[Any] = []

        class Rights(Handler):
            def add(self, num1: int, num2: int) -> int:
                asked.append(dict(rpc.current_call().metadata))  # type: ignore[union-attr]
                return len(asked) % 2

        rights_name = self.unique("Rights")
        rights = self.serve(rpc.ThriftService(Calculator, Rights(), name=rights_name))
        await rights.when_serving()
        asking = (await self.connect()).client(Calculator, name=rights_name)

        async def rule(call: rpc.WorkerCall) -> bool:
            return bool(await asking.add(1, 1) == 1)

        handler = await self.serve_to_users(allow=rule)
        ada = await self.client_of(self.ada, headers={"tenant": "a"})
        self.assertEqual(await ada.add(1, 2), 3)
        await self.assert_fails(ada.add(1, 2), rpc.AccessDenied)
        self.assertEqual((asked, len(handler.callers)), ([{"tenant": "a"}] * 2, 1))

    async def test_a_redelivered_request_keeps_its_user(self) -> None:
        """Its worker has ended. The copy that another worker makes names the sender of the request."""
        first = await self.serve_to_users(allow=self.ada)
        lost = self.worker
        ada = await self.client_of(self.ada, timeout=30.0)
        calling = ada.calculate(1, Work())
        await first.holding(1)
        second = await self.serve_to_users(allow=self.ada)
        lost.abort()
        await lost.stopService()
        await second.holding(1)
        second.release()
        self.assertEqual(await calling, 7)
        self.assertEqual((first.callers, second.callers), ([(self.ada, None)], [(self.ada, None)]))

    async def test_nobody_borrows_a_name_by_the_header_of_copies(self) -> None:
        """The worker believes it beside its own user alone."""
        handler = await self.serve_to_users(allow=self.ada)
        eve = await self.client_of(self.eve, headers={"rpc-caller": self.ada})
        await self.assert_fails(eve.add(1, 2), rpc.AccessDenied)
        await self.assert_fails(rpc.with_options(eve, user_id=False).add(1, 2), rpc.AccessDenied)
        self.assertEqual(handler.callers, [])

    async def test_a_worker_whose_name_is_another_at_the_broker_serves_all_the_same(self) -> None:
        """The broker refuses its copies with a user id, and takes them without one: their callers are denied."""
        first = await self.serve_to_users(allow=self.ada)
        lost = self.worker
        ada = await self.client_of(self.ada, timeout=30.0)
        calling = ada.calculate(1, Work())
        await first.holding(1)
        second = await self.serve_to_users(allow=self.ada)
        connection: Any = self.worker._link.connection
        connection.credentials = Credentials("another")
        lost.abort()
        await lost.stopService()
        await self.assert_fails(calling, rpc.AccessDenied)
        self.assertEqual((await ada.add(1, 2), second.callers), (3, [(self.ada, None)]))


class CommandTests(UserTestCase):
    """The commands that copy messages keep their users, when they log in as the worker does."""

    async def command(self, *words: str) -> str:
        """Run ``thrift-rpc``, and return its output."""
        environment = {**os.environ, "RPC_BROKER": self.url}
        output, error, status = await getProcessOutputAndValue(str(COMMAND), words, environment, str(PROJECT))
        self.assertEqual((status, error.decode()), (0, ""), output)
        return str(output.decode())

    async def letters(self) -> str:
        """Return the output of the command."""
        words = ["dead", "list", "--json", "--broker", self.url, self.name]
        return str((await getProcessOutputAndValue(str(COMMAND), words, os.environ, str(PROJECT)))[0].decode())

    async def test_a_call_of_the_command_names_its_user(self) -> None:
        """With ``--user-id``."""
        handler = await self.serve_to_users(allow="guest")
        words = ["call", "generated.calculator.Calculator", "add", "1", "2", "--name", self.name]
        self.assertEqual(await self.command(*words, "--user-id"), "3\n")
        output, error, status = await getProcessOutputAndValue(
            str(COMMAND), [*words, "--broker", self.url], os.environ, str(PROJECT)
        )
        self.assertEqual((output, status), (b"", 1))
        self.assertIn(b"names no user", error)
        self.assertEqual(handler.callers, [("guest", None)])

    async def test_a_replayed_letter_keeps_its_user(self) -> None:
        """It was denied, the rule is corrected, and an operator replays it."""
        await self.serve_to_users(allow=self.eve)
        ada = await self.client_of(self.ada)
        await ada.zip()
        while not await self.letters():
            await pause(0.1)
        await self.worker.stopService()
        handler = await self.serve_to_users(allow=self.ada)
        await self.command("dead", "replay", self.name, "--all")
        while not handler.callers:
            await pause(0.01)
        self.assertEqual(handler.callers, [(self.ada, None)])

    async def test_a_migrated_request_keeps_its_user(self) -> None:
        """It waits in the queue meanwhile."""
        await self.serve_to_users(allow=self.ada)
        await self.worker.stopService()
        ada = await self.client_of(self.ada, timeout=60.0)
        calling = ada.add(1, 2)
        await ada.zip()
        output = await self.command("queue", "migrate", self.name, "--backlog", "500", "--yes")
        self.assertIn("moved 2 messages", output)
        handler = await self.serve_to_users(allow=self.ada, backlog=500)
        self.assertEqual(await calling, 3)
        while len(handler.callers) < 2:
            await pause(0.01)
        self.assertEqual(handler.callers, [(self.ada, None)] * 2)


class LimitTests(UserTestCase):
    """``limits``."""

    async def test_one_user_does_not_take_all_slots(self) -> None:
        """Another user is served meanwhile."""
        handler = await self.serve_to_users(concurrency=4, limits=rpc.CallerLimits(concurrency=2))
        ada, eve = await self.client_of(self.ada), await self.client_of(self.eve)
        held = [eve.calculate(number, Work()) for number in range(2)]
        await handler.holding(2)
        for _ in range(10):
            await self.assert_fails(eve.add(1, 2), rpc.Overloaded, rpc.Outcome.REJECTED)
        self.assertEqual(await ada.add(1, 2), 3)
        waiting = rpc.with_options(eve, retry=True).add(2, 2)
        await pause(0.05)
        handler.release()
        self.assertEqual([await call for call in [*held, waiting]], [7, 7, 4])


class Noting:
    """Notes the events of both ends in one list."""

    def __init__(self, told: list[str]) -> None:
        self.told = told


class ClientNoting(Noting, rpc.ClientInterceptor):
    """Adds a header to each call."""

    def before(self, call: rpc.ClientCall) -> None:
        call.headers["path"] = [*call.headers.get("path", []), call.method]

    def after(self, call: rpc.ClientCall) -> None:
        self.told.append(f"sent {call.method}")

    def failed(self, call: rpc.ClientCall) -> None:
        self.told.append(f"failed {call.method} {type(call.error).__name__}")


class WorkerNoting(Noting, rpc.WorkerInterceptor):
    """Notes the path that calls have come by."""

    def before(self, call: rpc.WorkerCall) -> None:
        self.told.append(f"{call.service.split('.')[0]} {' '.join(call.metadata['path'])}")

    def failed(self, call: rpc.WorkerCall) -> None:
        self.told.append(f"ended {call.method} {call.ending.value if call.ending else None}")


class InterceptorTests(CallTestCase):
    """Calls of every kind pass the interceptors."""

    async def test_calls_of_all_kinds_are_seen_at_both_ends(self) -> None:
        """Plain, oneway, broadcast, to an instance, without a stub, nested, and failed ones."""
        told: list[str] = []
        inner_name, outer_name = self.unique("inner"), self.unique("outer")

        class Outer(Handler):
            def __init__(self, connection: rpc.Connection) -> None:
                super().__init__()
                self.inner = connection.client(Calculator, name=inner_name)

            async def add(self, num1: int, num2: int) -> int:  # type: ignore[override]
                return int(await self.inner.add(num1, num2))

        worker = rpc.Worker(
            self.url,
            [
                rpc.ThriftService(Calculator, Handler(), name=inner_name),
                rpc.ThriftService(Calculator, factory=Outer, name=outer_name),
            ],
            interceptors=[WorkerNoting(told)],
            client_interceptors=[ClientNoting(told)],
        )
        worker.startService()
        self.addCleanup(worker.stopService)
        await worker.when_serving()
        connection = await rpc.connect(self.url, interceptors=[ClientNoting(told)])
        self.addCleanup(connection.close)
        outer = connection.client(Calculator, name=outer_name)
        self.assertEqual(await outer.add(1, 2), 3)
        self.assertEqual(told, ["outer add", "inner add add", "sent add", "sent add"])
        told.clear()
        await rpc.with_options(outer, name=f"{outer_name}@{worker.instance}").ping()
        await rpc.with_options(outer, exchange="rpc.broadcast").ping()
        message = CODECS["binary"].encode("ping", TMessageType.CALL, 1, Calculator.ping_args())  # type: ignore[attr-defined]
        await connection.call_raw(outer_name, message)
        self.assertEqual(told, ["outer ping", "sent ping"] * 3)
        told.clear()
        await outer.zip()
        while len(told) < 2:
            await pause(0.01)
        self.assertEqual(sorted(told), ["outer zip", "sent zip"])
        told.clear()
        # Enough for the request to reach the handler: it expires in the queue otherwise, and is not seen.
        await self.assert_fails(rpc.with_options(outer, timeout=2.0).calculate(1, Work()), rpc.CallTimedOut)
        while len(told) < 3:
            await pause(0.01)
        self.assertEqual(
            sorted(told), ["ended calculate cancelled", "failed calculate CallTimedOut", "outer calculate"]
        )
