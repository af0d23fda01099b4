"""The permissions of docs/security.md on a real RabbitMQ: the methods that they allow and refuse."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
from pathlib import Path
from typing import Any, ClassVar

import pytest
from twisted.internet.defer import CancelledError, DeferredList
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Work
from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.client.call_state import CallState
from rpc.control import Control
from rpc.envelope import CODECS
from rpc.errors import ChannelClosed
from rpc.messages import Properties
from rpc.topology import DeadLetterKind, ServiceTopology, existing_exchange
from tests.integration.amqp_case import AMQPTestCase
from tests.integration.call_case import Handler, pause
from tests.integration.dead_case import COMMAND, PROJECT, Command
from tools.nodes.rabbitmq import RabbitMQNode

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "security.md"

PASSWORD = "a-secret"

USERS = ("monitor", "orders-client", "orders-migrator", "orders-operator", "orders-worker", "stock-worker")

_stub: Any = Calculator
ARGUMENTS = _stub.add_args(2, 3)


def documented_permissions() -> dict[str, list[str]]:
    """Return the page's permissions by user: for configuring, writing and reading."""
    section = PAGE.read_text().partition("## Permissions")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| `(.+)` \| `(.+)` \| `(.+)` \|$", section, re.MULTILINE)
    return {user: [pattern.replace(r"\|", "|") for pattern in patterns] for user, *patterns in rows}


def documented_commands(page: Path) -> dict[str, list[str]]:
    """Return the permissions that the commands of a page set, by user."""
    text = page.read_text().replace("\\\n", " ")
    commands = [shlex.split(line) for line in re.findall(r"^\$ rabbitmqctl (set_permissions .+)$", text, re.MULTILINE)]
    assert all(words[:3] == ["set_permissions", "--vhost", "/"] for words in commands), commands
    return {user: patterns for _, _, _, user, *patterns in commands}


def documented_exchanges() -> dict[str, Any]:
    """Return the page's definitions."""
    (text,) = re.findall(r"```json\n(.+?)```", PAGE.read_text(), re.DOTALL)
    definitions: dict[str, Any] = json.loads(text)
    return definitions


class Nested(Handler):
    """Orders: its sums come from Stock."""

    def __init__(self, stock: Any) -> None:
        super().__init__()
        self.stock = stock

    def add(self, num1: int, num2: int) -> Any:
        return self.stock.add(num1, num2)


@pytest.mark.rabbitmq_only("the embedded broker has no permissions")
class PermissionsTests(AMQPTestCase):
    """A virtual host with the page's users and exchanges, for all tests of the class."""

    timeout = 120.0
    broker: ClassVar[RabbitMQNode]
    _home: ClassVar[str | None] = None  # URL of the virtual host, as guest
    _users: ClassVar[str] = ""

    def setUp(self) -> Any:
        if type(self)._home is None:
            return deferToThread(self._apply_page)
        return None

    def _apply_page(self) -> None:
        case = type(self)
        home = self.virtual_host()
        virtual_host, case._users = home.rpartition("/")[2], secrets.token_hex(4)
        definitions = documented_exchanges()
        for exchange in definitions["exchanges"]:
            exchange["vhost"] = virtual_host
        file = Path(self.mktemp())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(definitions))
        self.broker.ctl("import_definitions", str(file))
        permissions = documented_commands(PAGE)
        self.assertEqual(permissions, documented_permissions())
        self.assertEqual(sorted(permissions), [*USERS])
        for user, patterns in permissions.items():
            self.broker.ctl("add_user", user + case._users, PASSWORD)
            self.broker.ctl("set_permissions", "--vhost", virtual_host, user + case._users, *patterns)
        case._home = home

    def url_of(self, user: str) -> str:
        """Return the URL with the login of a user of the page."""
        assert self._home is not None
        return self._home.replace("guest:guest", f"{user}{self._users}:{PASSWORD}")

    async def channel_of(self, user: str) -> Channel:
        """Return a channel of a user of the page."""
        return await self.channel(self.url_of(user))

    async def guest(self) -> Channel:
        """Return a channel of a user with all permissions."""
        return await self.channel(self._home)

    async def serve(self, user: str, service: rpc.ThriftService) -> rpc.Worker:
        """Serve as a user of the page."""
        worker = rpc.Worker(self.url_of(user), [service], drain_timeout=1.0)
        worker.startService()
        self.addCleanup(worker.stopService)
        await worker.when_serving()
        return worker

    async def serve_both(self) -> None:
        """Serve Stock, and Orders whose handler calls it."""
        self.stock = Handler()
        await self.serve("stock-worker", rpc.ThriftService(Calculator, self.stock, name="Stock", exchange="rpc-Stock"))

        def make(connection: rpc.Connection) -> Nested:
            stock = connection.client(Calculator, name="Stock", exchange="rpc-Stock", timeout=20.0)
            self.orders = Nested(stock)
            return self.orders

        await self.serve(
            "orders-worker", rpc.ThriftService(Calculator, factory=make, name="Orders", exchange="rpc-Orders")
        )

    async def client(self, **options: Any) -> Any:
        """Return a client of Orders, or with other options of another service."""
        connection = await rpc.connect(self.url_of("orders-client"))
        self.addCleanup(connection.close)
        given = {"name": "Orders", "exchange": "rpc-Orders", "timeout": 20.0, **options}
        return connection.client(Calculator, **given)

    # -- methods that must work

    async def test_a_client_calls_a_service_whose_handler_calls_another(self) -> None:
        """Call, serve, nested call, and a oneway call."""
        await self.serve_both()
        client = await self.client()
        self.assertEqual(await client.add(2, 3), 5)
        await client.zip()
        while not self.orders.ran:
            await pause(0.01)

    async def test_a_cancelled_call_is_cancelled_at_its_worker(self) -> None:
        """A keepalive has named the worker, so no broadcast is needed. Calls in progress are not disturbed."""
        await self.serve_both()
        client = await self.client(liveness=5.0)
        unknown = (await self.client()).calculate(1, Work())
        call = client.calculate(2, Work())
        await self.orders.holding(2)
        ended = DeferredList(self.orders.held, fireOnOneCallback=True, fireOnOneErrback=True, consumeErrors=True)
        while not any(each.state is CallState.WATCHED for each in client._caller.pending.calls.values()):
            await pause(0.01)
        call.cancel()
        await self.assertFailure(call, CancelledError)
        await ended
        unknown.cancel()
        await self.assertFailure(unknown, CancelledError)
        self.assertEqual(await client.add(2, 3), 5)

    async def test_all_workers_are_asked_by_the_user_for_that(self) -> None:
        """They have exchanges of their own, and no permission beyond those for their services."""
        await self.serve_both()
        connection = await rpc.connect(self.url_of("monitor"))
        self.addCleanup(connection.close)
        control = Control(connection)
        for service in ("Orders", "Stock"):
            answers = await control.ping(service, wait=20.0)
            self.assertTrue(answers.is_complete, answers)
            (named,) = await control.describe(service, instance=answers.good[0].instance, wait=20.0)
            self.assertEqual(named.services[0].exchange, f"rpc-{service}")
        await self.assert_may_not_publish("monitor", "rpc-Orders", "Orders")
        await self.assert_refused("monitor", "basic_consume", queue="rpc.Orders")
        client = Control(await rpc.connect(self.url_of("orders-client")))
        self.addCleanup(client.connection.close)
        error: Any = await self.assertFailure(client.ping("Orders"), rpc.ServiceUnavailable)
        self.assertIn("the user lacks a permission: 403 ACCESS_REFUSED", str(error))

    async def test_a_dead_letter_is_listed_and_replayed(self) -> None:
        """By the user for that."""
        await self.serve_both()
        guest = await self.guest()
        guest.publish("rpc-Orders", "Orders", b"\x00\x00", b"no message of Thrift")
        for words in (("list",), ("replay", "--all")):
            while True:
                command = Command(words[0], "--broker", self.url_of("orders-operator"), "Orders", *words[1:])
                self.assertEqual((await command.ended, command.error), (0, ""))
                if "1 dead letter" in command.output or "thrift" in command.output.lower():
                    break
                await pause(0.1)

    async def test_all_queues_of_a_service_are_migrated(self) -> None:
        """By the user for that. It may not declare the exchanges, which exist."""
        guest = await self.guest()
        topology = ServiceTopology("Orders", "rpc-Orders")
        letters = [each for kind in DeadLetterKind for each in topology.dead_letters(kind)]
        for declaration in [*topology.requests(), *topology.quarantine(), *letters]:
            await guest.declare(declaration)
        words = ["queue", "migrate", "Orders", "--exchange", "rpc-Orders", "--yes"]
        words += ["--broker", self.url_of("orders-migrator"), "--queue-type", "quorum"]
        output, error, status = await getProcessOutputAndValue(str(COMMAND), words, os.environ, str(PROJECT))
        self.assertEqual((status, error), (0, b""), output)
        for queue in topology.queues:
            self.assertIn(f"to the new {queue}\n", output.decode())
            await guest.queue_delete(queue=queue)  # other tests declare them as classic ones

    async def test_a_quarantined_request_runs(self) -> None:
        """The worker declares the quarantine, puts the request there, and announces it."""
        await self.serve_both()
        guest = await self.guest()
        queue = await self.queue(guest)
        replies = await self.consume(guest, queue)
        body = CODECS["binary"].encode("add", 1, 7, ARGUMENTS)
        headers = {"rpc-deliveries": 2}
        properties = Properties(reply_to=queue, correlation_id="c", message_id="m", headers=headers)
        guest.publish("", "rpc.Orders.quarantine", encode_properties(properties), body, True)
        guest.publish("rpc-Orders", "Orders", encode_properties(properties), body, True)
        self.assertIn(b"add", (await replies.get()).body)

    async def test_workers_bind_again_to_exchanges_that_an_operator_has_declared_again(self) -> None:
        """They need no permission to configure for that."""
        await self.serve_both()
        client = await self.client()
        self.assertEqual(await client.add(2, 3), 5)
        guest = await self.guest()
        for each in documented_exchanges()["exchanges"]:
            await guest.exchange_delete(exchange=each["name"])
            await guest.exchange_declare(exchange=each["name"], type=each["type"], durable=each["durable"])
        while True:
            try:
                self.assertEqual(await client.add(2, 3), 5)
            except rpc.RPCError:
                await pause(0.1)
            else:
                break

    # -- methods that must fail

    async def assert_refused(self, user: str, method: str, code: int = 403, **arguments: Any) -> None:
        """The broker refuses a method to a user of the page."""
        channel = await self.channel_of(user)
        try:
            await getattr(channel, method)(**arguments)
        except ChannelClosed as error:
            self.assertEqual(error.code, code, (user, method, arguments, str(error)))
        else:
            raise AssertionError(f"{user} may {method} {arguments}")

    async def assert_may_not_publish(self, user: str, exchange: str, routing_key: str) -> None:
        """The broker refuses a message of a user of the page."""
        channel = await self.channel_of(user)
        channel.publish(exchange, routing_key, b"\x00\x00", b"")
        with self.assertRaisesRegex(ChannelClosed, "403 ACCESS_REFUSED"):
            await channel.declare(existing_exchange("rpc.dead"))

    async def test_a_client_reaches_its_service_alone(self) -> None:
        """Not another service, by no exchange, and no queue of a service."""
        await self.serve_both()
        for exchange, key in (
            ("rpc-Stock", "Stock"),
            ("rpc.broadcast", "Stock"),
            ("rpc.broadcast", "Orders"),
            ("rpc.dead", "Orders"),
            ("", "rpc.Stock"),
            ("", "rpc.Orders"),
        ):
            await self.assert_may_not_publish("orders-client", exchange, key)
        for exchange in ("rpc-Stock", "rpc"):
            stock = await self.client(name="Stock", exchange=exchange)
            for _ in range(2):
                error = await self.assertFailure(stock.add(2, 3), rpc.ServiceUnavailable)
                self.assertIs(error.outcome, rpc.Outcome.NOT_SENT)
                self.assertIn("the user lacks a permission: 403 ACCESS_REFUSED", str(error))
        client = await self.client()
        self.assertEqual(await client.add(2, 3), 5)

    async def test_a_client_deletes_declares_and_reads_nothing_that_is_shared(self) -> None:
        """It has configure and read for queues that the broker names."""
        await self.serve_both()
        user = "orders-client"
        for exchange in ("rpc-Orders", "rpc-Stock", "rpc.broadcast", "rpc.dead"):
            await self.assert_refused(user, "exchange_delete", exchange=exchange)
            await self.assert_refused(user, "exchange_declare", exchange=exchange, type="direct", durable=True)
        await self.assert_refused(user, "exchange_declare", exchange="rpc", type="direct", durable=True)
        for queue in ("rpc.Orders", "rpc.Stock"):
            await self.assert_refused(user, "basic_consume", queue=queue)
            await self.assert_refused(user, "queue_purge", queue=queue)
            await self.assert_refused(user, "queue_delete", queue=queue)
            await self.assert_refused(user, "queue_declare", queue=queue, durable=True)
            await self.assert_refused(
                user, "queue_unbind", queue=queue, exchange="rpc-Orders", routing_key=queue.removeprefix("rpc.")
            )
        channel = await self.channel_of(user)
        queue = await self.queue(channel)
        with self.assertRaisesRegex(ChannelClosed, "403"):
            await channel.queue_bind(queue=queue, exchange="rpc-Orders", routing_key="Orders")
        for method in ("basic_consume", "queue_purge", "queue_delete"):  # of another client of the same user
            await self.assert_refused(user, method, 405, queue=queue)

    async def test_a_worker_reads_no_requests_of_another_service(self) -> None:
        """Neither from its queues, nor by a binding of its own queue."""
        await self.serve_both()
        user = "orders-worker"
        for queue in ("rpc.Stock", "rpc.Stock.quarantine", "rpc.Stock.dead"):
            for method in ("basic_consume", "queue_purge", "queue_delete"):
                await self.assert_refused(user, method, queue=queue)
            await self.assert_refused(user, "queue_declare", queue=queue, durable=True)
        for method in ("queue_bind", "queue_unbind"):
            await self.assert_refused(user, method, queue="rpc.Orders", exchange="rpc-Stock", routing_key="Stock")
            await self.assert_refused(user, method, queue="rpc.Stock", exchange="rpc-Orders", routing_key="Stock")
        await self.assert_refused(user, "basic_consume", queue="rpc.Orders.dead")
        for exchange in ("rpc-Orders", "rpc-Stock", "rpc.broadcast", "rpc.dead"):
            await self.assert_refused(user, "exchange_delete", exchange=exchange)
        await self.assert_may_not_publish("stock-worker", "rpc-Orders", "Orders")
        await self.assert_refused("stock-worker", "basic_consume", queue="rpc.Orders")
        await self.assert_refused("orders-operator", "basic_consume", queue="rpc.Orders")
        await self.assert_refused("orders-operator", "queue_delete", queue="rpc.Orders.dead")
        await self.assert_may_not_publish("orders-operator", "rpc-Orders", "Orders")

    async def test_a_worker_says_which_exchange_is_missing(self) -> None:
        """It may not declare it, and no other attempt would succeed."""
        worker = rpc.Worker(
            self.url_of("stock-worker"),
            [rpc.ThriftService(Calculator, Handler(), name="Stock", exchange="rpc-Missing")],
            on_refusal="wait",
        )
        worker.startService()
        self.addCleanup(worker.stopService)
        while "Of the exchanges 'rpc-Missing', which do not exist" not in (worker._link.problem or ""):
            await pause(0.05)

    # -- methods that the page calls possible all the same

    async def test_a_worker_writes_into_every_queue(self) -> None:
        """By the default exchange, which replies need."""
        await self.serve_both()
        channel = await self.channel_of("orders-worker")
        queue = await self.queue(channel)
        replies = await self.consume(channel, queue)
        body = CODECS["binary"].encode("add", 1, 7, ARGUMENTS)
        channel.publish("", "rpc.Stock", encode_properties(Properties(reply_to=queue)), body)
        self.assertIn(b"add", (await replies.get()).body)


@pytest.mark.rabbitmq_only("the embedded broker has no permissions")
class SharedExchangeTests(AMQPTestCase):
    """The users of docs/operations.md, with one exchange for all services."""

    timeout = 120.0
    broker: ClassVar[RabbitMQNode]

    async def test_a_worker_serves_a_client_calls_and_an_operator_replays(self) -> None:
        """With no more permissions than the commands of the page give."""
        home, users = await deferToThread(self.virtual_host), secrets.token_hex(4)
        for user, patterns in documented_commands(DOCS / "operations.md").items():
            await deferToThread(self.broker.ctl, "add_user", user + users, PASSWORD)
            vhost = home.rpartition("/")[2]
            await deferToThread(self.broker.ctl, "set_permissions", "--vhost", vhost, user + users, *patterns)

        def url_of(user: str) -> str:
            return home.replace("guest:guest", f"{user}{users}:{PASSWORD}")

        worker = rpc.Worker(url_of("worker"), [rpc.ThriftService(Calculator, Handler(), name="Glossary")])
        worker.startService()
        self.addCleanup(worker.stopService)
        await worker.when_serving()
        connection = await rpc.connect(url_of("client"))
        self.addCleanup(connection.close)
        client = connection.client(Calculator, name="Glossary", timeout=20.0)
        self.assertEqual(await client.add(2, 3), 5)
        (await self.channel(home)).publish("rpc", "Glossary", b"\x00\x00", b"no message of Thrift")
        for words in (("list",), ("replay", "--all")):
            while True:
                command = Command(words[0], "--broker", url_of("operator"), "Glossary", *words[1:])
                self.assertEqual((await command.ended, command.error), (0, ""))
                if "1 dead letter" in command.output or "thrift" in command.output.lower():
                    break
                await pause(0.1)
