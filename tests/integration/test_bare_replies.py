"""Replies of workers in other languages: the parts that our client needs, and those that may be missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pika
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TMessageType
from thrift.transport.TTransport import TMemoryBuffer
from twisted.internet.threads import deferToThread

import rpc
from generated.calculator import Calculator as CalculatorStub
from tests.services.support import ServiceTestCase

Calculator: Any = CalculatorStub

Reply = Callable[[pika.BasicProperties, int], tuple[bytes, pika.BasicProperties]]
"""Makes body and properties from those of a request, and its seqid."""


def message(seqid: int, name: str = "add", protocol: Any = TBinaryProtocol) -> bytes:
    """Return a reply of ``add``: 3."""
    buffer = TMemoryBuffer()
    writer = protocol(buffer)
    writer.writeMessageBegin(name, TMessageType.REPLY, seqid)
    Calculator.add_result(3).write(writer)
    writer.writeMessageEnd()
    return buffer.getvalue()


def bare(request: pika.BasicProperties) -> pika.BasicProperties:
    """Return the only property that a reply needs."""
    return pika.BasicProperties(correlation_id=request.correlation_id)


class BareReplyTests(ServiceTestCase):
    """A worker on pika answers one call."""

    timeout = 60.0

    async def call(self, reply: Reply, **options: Any) -> Any:
        """Call ``add`` of a worker that replies so."""
        name = self.unique("Calculator")
        connection = await deferToThread(pika.BlockingConnection, pika.URLParameters(f"{self.url}/%2F"))
        self.addCleanup(deferToThread, connection.close)
        channel = connection.channel()
        await deferToThread(self._declare, channel, name)
        answered = deferToThread(self._answer, channel, name, reply)
        client = await self.connected_client(name, options)
        try:
            return await client.add(1, 2)
        finally:
            await answered

    async def connected_client(self, name: str, options: dict[str, Any]) -> Any:
        """Return a client of a connection of its own."""
        connection = await rpc.connect(self.url)
        self.addCleanup(connection.close)
        return connection.client(Calculator, name=name, **{"timeout": 10.0, **options})

    def _declare(self, channel: Any, name: str) -> None:
        channel.exchange_declare("rpc", "direct", durable=True)
        channel.queue_declare(f"rpc.{name}", durable=True, arguments={"x-queue-type": "classic"})
        channel.queue_bind(f"rpc.{name}", "rpc", name)

    def _answer(self, channel: Any, name: str, reply: Reply) -> None:
        delivery, request, body = next(channel.consume(f"rpc.{name}", inactivity_timeout=10.0))
        protocol = TCompactProtocol if request.content_type.endswith("compact") else TBinaryProtocol
        _, _, seqid = protocol(TMemoryBuffer(body)).readMessageBegin()
        answer, properties = reply(request, seqid)
        channel.basic_publish("", request.reply_to, answer, properties)
        channel.basic_ack(delivery.delivery_tag)
        channel.cancel()
        channel.queue_delete(f"rpc.{name}")

    async def test_a_correlation_id_is_enough(self) -> None:
        """All other properties may be absent; the content type is not looked at."""
        self.assertEqual(await self.call(lambda request, seqid: (message(seqid), bare(request))), 3)
        compact = await self.call(
            lambda request, seqid: (message(seqid, protocol=TCompactProtocol), bare(request)), protocol="compact"
        )
        self.assertEqual(compact, 3)

    async def test_without_a_correlation_id_it_is_dropped(self) -> None:
        """Unless the client accepts replies by their seqid."""
        without: Reply = lambda request, seqid: (message(seqid), pika.BasicProperties())  # noqa: E731
        self.assertEqual(await self.call(without, uncorrelated_replies=True), 3)
        with self.assertRaises(rpc.CallTimedOut):
            await self.call(without, timeout=1.0)

    async def test_another_name_or_seqid_is_invalid(self) -> None:
        """So is another protocol."""
        wrong: list[Callable[[int], bytes]] = [
            lambda seqid: message(seqid, "ping"),
            lambda seqid: message(seqid + 1),
            lambda seqid: message(seqid, protocol=TCompactProtocol),
        ]
        for make in wrong:
            with self.assertRaises(rpc.InvalidReply):
                await self.call(lambda request, seqid, make=make: (make(seqid), bare(request)))  # type: ignore[misc]
