"""``txamqp.contrib.thrift`` in one deployment with this framework: clients, servers and workers of both."""

from __future__ import annotations

import json
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from thrift.Thrift import TMessageType
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

import rpc
from generated.calculator import Calculator
from rpc.envelope import CODECS
from rpc.gateway import Gateway, GatewayOptions
from rpc.topology import Declaration, direct_exchange
from rpc.worker.refused_queues import explanation
from services.calculator import CalculatorHandler
from tests.ancestor import RESPONSES
from tests.integration.test_gateway_process import exchange
from tests.services.support import ServiceTestCase
from tests.support import skip_without_transient_queues
from tests.unit.gateway.gateway_in_memory import framed
from tools.nodes.rabbitmq import RabbitMQNode
from tools.processes import Process

PROJECT = Path(__file__).parents[2]
CALLS = 100
REPLIES_AS_ITS_SERVERS_DO: dict[str, Any] = {"reply_exchange": RESPONSES, "uncorrelated_replies": True}


class AncestorTestCase(ServiceTestCase):
    """Processes of txAMQP, beside a worker and clients in this process."""

    timeout = 60.0

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        await skip_without_transient_queues(self)
        self.exchange, self.key, self.queue = (self.unique(name) for name in ("services", "calc", "calc_pool"))
        with resources.as_file(resources.files("rpc.amqp.codec.spec").joinpath("amqp0-9-1.xml")) as spec:
            self.arguments = [str(self.broker.port), "/", str(spec), self.exchange, self.key]

    async def use_own_virtual_host(self) -> None:
        """Have this test's names, such as ``responses``, for itself."""
        self.address = await deferToThread(self.virtual_host)
        self.arguments[1] = self.address.rpartition("/")[2]

    async def called_by_its_client(self, protocol: str) -> int:
        """Run its client; return how many of its calls were answered."""
        output, errors, status = await getProcessOutputAndValue(
            sys.executable,
            ["-m", "tests.ancestor", "client", *self.arguments, protocol, str(CALLS)],
            {**os.environ, "PYTHONPATH": str(PROJECT)},
            str(PROJECT),
        )
        self.assertEqual((status, errors.decode()), (0, ""), output)
        return int(json.loads(output))

    async def start_its_server(self, protocol: str) -> Process:
        """Run its server until the end of the test."""
        command = [sys.executable, "-m", "tests.ancestor", "server", *self.arguments, self.queue, protocol]
        server = Process("server of txAMQP", command, environment={"PYTHONPATH": str(PROJECT)})
        self.addCleanup(server.kill)
        await deferToThread(server.wait_for_line, "serving")
        return server

    def service(self, **options: Any) -> rpc.ThriftService:
        """A service under the names of its server."""
        return rpc.ThriftService(
            Calculator, CalculatorHandler(), name=self.key, exchange=self.exchange, queue=self.queue, **options
        )

    async def called_by_our_client(self, protocol: str, **options: Any) -> int:
        """Return how many calls of ours were answered."""
        client = await self.client(
            Calculator, "ping", name=self.key, exchange=self.exchange, protocol=protocol, **options
        )
        answers: Any = await gatherResults([client.add(number, 1) for number in range(CALLS)])
        return sum(answer == number + 1 for number, answer in enumerate(answers))


class ProtocolTests(AncestorTestCase):
    """Each direction in each protocol. Its messages have no content type."""

    async def test_our_worker_serves_its_client(self) -> None:
        """Without a word about the protocol: the body tells it."""
        await self.serve(self.service(durable=False)).when_serving()
        for protocol in CODECS:
            self.assertEqual(await self.called_by_its_client(protocol), CALLS, protocol)

    async def test_its_server_serves_our_client(self) -> None:
        """By the exchange of its replies, which have no correlation id. Our client alone has declared the exchange."""
        await self.use_own_virtual_host()
        for protocol in CODECS:
            server = await self.start_its_server(protocol)
            answered = await self.called_by_our_client(protocol, **REPLIES_AS_ITS_SERVERS_DO)
            self.assertEqual(answered, CALLS, protocol)
            await deferToThread(server.kill)

    async def test_its_server_serves_calls_without_a_stub(self) -> None:
        """Those of a connection, and of Thrift's own clients through a gateway."""
        await self.use_own_virtual_host()
        for protocol in CODECS:
            server = await self.start_its_server(protocol)
            await self.called_by_our_client(protocol, **REPLIES_AS_ITS_SERVERS_DO)
            codec, stub = CODECS[protocol], cast(Any, Calculator)
            request = codec.encode("add", TMessageType.CALL, 7, stub.add_args(40, 2))
            connection = await self.connect()
            how: dict[str, Any] = {"exchange": self.exchange, **REPLIES_AS_ITS_SERVERS_DO}
            reply = await connection.call_raw(self.key, request, protocol=protocol, **how)
            expected = codec.encode("add", TMessageType.REPLY, 7, stub.add_result(42))
            self.assertEqual(reply.message, expected)
            options = GatewayOptions(**how)
            gateway = Gateway(self.harness.url, [self.key], framed=["tcp:0:interface=127.0.0.1"], options=options)
            gateway.startService()
            self.addCleanup(gateway.stopService)
            await gateway.when_listening()
            port = gateway.ports[0].getHost().port  # type: ignore[attr-defined]
            answer = await deferToThread(exchange, port, request, len(framed(expected)))
            self.assertEqual(answer, framed(expected))
            await deferToThread(server.kill)

    async def test_oneway_calls_and_exceptions_of_its_server(self) -> None:
        """The IDL's exceptions come back; a oneway call is done when the broker has it."""
        await self.start_its_server("binary")
        client = await self.client(
            Calculator, "ping", name=self.key, exchange=self.exchange, **REPLIES_AS_ITS_SERVERS_DO
        )
        self.assertIsNone(await client.zip())
        with self.assertRaises(Exception) as caught:
            await client.calculate(1, None)
        self.assertNotIsInstance(caught.exception, rpc.CallTimedOut)
        self.assertEqual(await client.add(1, 2), 3)


class SharingTests(AncestorTestCase):
    """One queue with servers of both kinds, and exchanges of either."""

    async def test_shares_the_queue_of_its_servers(self) -> None:
        """In either order of starts, and for clients of both kinds."""
        worker = self.serve(self.service(durable=False))
        await worker.when_serving()
        server = await self.start_its_server("binary")
        self.assertEqual(await self.called_by_its_client("binary"), CALLS)
        self.assertEqual(await self.called_by_our_client("binary", **REPLIES_AS_ITS_SERVERS_DO), CALLS)
        await worker.stopService()
        await self.serve(self.service(durable=False)).when_serving()
        await deferToThread(server.kill)
        self.assertEqual(await self.called_by_our_client("binary"), CALLS)
        self.assertEqual(await self.called_by_its_client("binary"), CALLS)

    async def test_uses_exchanges_that_are_not_durable(self) -> None:
        """An exchange that is there is used as it is, by workers and clients."""
        await self.use_own_virtual_host()
        connection: Any = await self.connect()
        operator = await connection._link.connection.open_channel()
        for name, options in ((self.exchange, {"auto_delete": True}), (RESPONSES, {})):
            declared = direct_exchange(name, durable=False)
            await operator.declare(Declaration(declared.method, {**declared.arguments, **options}))
        await self.serve(self.service()).when_serving()
        self.assertEqual(await self.called_by_our_client("binary", reply_exchange=RESPONSES), CALLS)

    async def test_says_how_to_share_a_queue_that_is_not_durable(self) -> None:
        """A worker with the default is refused, and its explanation names the option."""
        await self.start_its_server("binary")
        service = self.service()
        with self.assertRaises(rpc.DeclarationRefused) as refused:
            await self.serve(service).when_serving()
        self.assertIn("durable=False", explanation(service.topology(), refused.exception))


@pytest.mark.rabbitmq_only("the embedded broker has no permissions")
class PermissionTests(AncestorTestCase):
    """The permissions that a client with ``reply_exchange`` needs."""

    broker: ClassVar[RabbitMQNode]

    async def answer(self, reply_exchange: str, read: str) -> Any:
        """Call as a user without permission to declare an exchange; return the answer, or the reason of the failure."""
        user = self.unique("client")
        await deferToThread(self.broker.ctl, "add_user", user, "secret")
        rights = (r"^amq\.gen.*$", rf"^(amq\.gen.*|{self.exchange})$", read)
        await deferToThread(self.broker.ctl, "set_permissions", user, *rights)
        connection = await rpc.connect(self.url.replace("guest:guest", f"{user}:secret"))
        self.addCleanup(connection.close)
        client = connection.client(
            Calculator, name=self.key, exchange=self.exchange, reply_exchange=reply_exchange, timeout=5.0
        )
        try:
            return await client.add(1, 2)
        except rpc.ServiceUnavailable as error:
            return str(error)

    async def test_an_exchange_that_exists_needs_the_permission_to_read_it(self) -> None:
        """A missing one needs that to configure it. Else calls fail with the broker's words."""
        await self.serve(self.service(durable=False)).when_serving()
        there, missing = self.unique("replies"), self.unique("missing")
        connection: Any = await self.connect()
        operator = await connection._link.connection.open_channel()
        await operator.declare(direct_exchange(there, durable=False))
        self.assertEqual(await self.answer(there, rf"^(amq\.gen.*|{there})$"), 3)
        self.assertIn(f"access to exchange '{there}'", await self.answer(there, r"^amq\.gen.*$"))
        self.assertIn(f"access to exchange '{missing}'", await self.answer(missing, ".*"))
