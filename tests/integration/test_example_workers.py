"""The examples obey ``docs/wire.md``, section "Programs in other languages", where a message is not as it should be."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import pika
import pytest
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TMemoryBuffer
from twisted.internet.threads import deferToThread

import rpc
from tests.cross_test import node_peer
from tests.cross_test.doors import DOORS
from tests.cross_test.foreign_workers import WORKERS
from tests.cross_test.programs import stubs
from tests.cross_test.values import Case, Returns
from tests.services.support import ServiceTestCase

PATIENCE = 30.0
BINARY = "application/vnd.apache.thrift.binary"


@attrs.frozen
class Answered:
    """A reply."""

    properties: pika.BasicProperties
    body: bytes

    def error(self, protocol: Any = TBinaryProtocol) -> tuple[str, int, int]:
        """Return name, seqid, and type of the error."""
        reader = protocol(TMemoryBuffer(self.body))
        name, kind, seqid = reader.readMessageBegin()
        assert kind == TMessageType.EXCEPTION
        error = TApplicationException()
        error.read(reader)
        return name, seqid, error.type


class Sender:
    """A program on pika that sends any message."""

    def __init__(self, url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(f"{url}/%2F"))
        self.channel = self._connection.channel()
        self.replies: str = self.channel.queue_declare("", exclusive=True).method.queue

    def send(self, service: str, body: bytes, **properties: Any) -> None:
        """Publish a request."""
        self.channel.basic_publish("rpc", service, body, pika.BasicProperties(**properties), mandatory=True)

    def ask(self, service: str, body: bytes, **properties: Any) -> Answered:
        """Publish a request, and return its reply."""
        self.send(service, body, reply_to=self.replies, correlation_id="any text", message_id="m", **properties)
        _, answer, reply = next(self.channel.consume(self.replies, auto_ack=True, inactivity_timeout=PATIENCE))
        self.channel.cancel()
        return Answered(answer, reply)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def request(method: str, kind: int = TMessageType.CALL, protocol: Any = TBinaryProtocol) -> bytes:
    """Return a request with the argument ``"x"``."""
    buffer = TMemoryBuffer()
    writer = protocol(buffer)
    writer.writeMessageBegin(method, kind, 77)
    harbour: Any = stubs()["Harbour"]
    harbour.text_args("x").write(writer)
    writer.writeMessageEnd()
    return buffer.getvalue()


class PlainExampleTests(ServiceTestCase):
    """Its worker serves ``Harbour``; its client calls it.

    :ivar example: the name in WORKERS and DOORS.
    """

    timeout = 60.0
    example: ClassVar[str] = "plain"

    async def start(self) -> str:
        """Start the worker, whose method ``text`` answers; return the service's name."""
        name = self.unique("Harbour")
        self.worker = WORKERS[self.example](self.url)
        await self.worker.open({"Harbour": name})
        self.addCleanup(self.worker.close)
        await self.answer("answered")
        self.sender = await deferToThread(Sender, self.url)
        self.addCleanup(deferToThread, self.sender.close)
        return name

    async def answer(self, text: str) -> None:
        """Have ``text`` return this."""
        await self.worker.answer(Case("text", "text"), Returns(text))

    async def ask(self, service: str, body: bytes, **properties: Any) -> Answered:
        """Publish a request, and return its reply."""
        return await deferToThread(self.sender.ask, service, body, **properties)

    async def test_a_reply_has_the_properties_of_its_request(self) -> None:
        """Also without a content type, which is binary."""
        name = await self.start()
        for content_type, protocol in (
            (BINARY, TBinaryProtocol),
            (None, TBinaryProtocol),
            ("application/vnd.apache.thrift.compact", TCompactProtocol),
        ):
            reply = await self.ask(name, request("text", protocol=protocol), content_type=content_type, type="a.b")
            self.assertEqual(protocol(TMemoryBuffer(reply.body)).readMessageBegin(), ("text", TMessageType.REPLY, 77))
            found = reply.properties
            self.assertEqual((found.correlation_id, found.message_id, found.type), ("any text", "m", "a.b"))
            self.assertEqual((found.content_type, found.delivery_mode), (content_type or BINARY, 1))

    async def test_what_cannot_be_read_is_answered(self) -> None:
        """An unknown protocol, bytes that are no message, an unknown method."""
        name = await self.start()
        unknown = await self.ask(name, request("text"), content_type="text/plain")
        self.assertEqual(unknown.error(), ("", 0, TApplicationException.INVALID_PROTOCOL))
        broken = await self.ask(name, b"\x80\x01\x00", content_type=BINARY)
        self.assertEqual(broken.error(), ("", 0, TApplicationException.PROTOCOL_ERROR))
        method = await self.ask(name, request("texts"), content_type=BINARY)
        self.assertEqual(method.error(), ("texts", 77, TApplicationException.UNKNOWN_METHOD))

    async def test_other_queues_get_no_reply(self) -> None:
        """A caller could name them."""
        name = await self.start()
        other = self.unique("queue-of-others")
        await deferToThread(self.sender.channel.queue_declare, other, exclusive=True)
        await deferToThread(self.sender.send, name, request("text"), reply_to=other, content_type=BINARY)
        await self.ask(name, request("text"), content_type=BINARY)  # the worker has answered the one before
        delivered = await deferToThread(self.sender.channel.basic_get, other)
        self.assertEqual(delivered, (None, None, None))

    async def test_a_oneway_request_gets_no_reply(self) -> None:
        """Also when it names a reply queue, and the method is not there."""
        name = await self.start()
        for method in ("text", "texts"):
            body = request(method, TMessageType.ONEWAY)
            await deferToThread(self.sender.send, name, body, reply_to=self.sender.replies, content_type=BINARY)
        reply = await self.ask(name, request("text"), content_type=BINARY)
        self.assertEqual(reply.properties.correlation_id, "any text")

    async def test_a_reply_that_is_too_large(self) -> None:
        """Its caller gets an error, and the worker goes on."""
        name = await self.start()
        await self.answer("x" * 16 * 2**20)
        harbour = stubs()["Harbour"]
        connection = await rpc.connect(self.url)
        self.addCleanup(connection.close)
        client = connection.client(harbour, name=name, timeout=30.0)
        with self.assertRaisesRegex(TApplicationException, "the reply is too large"):
            await client.text("x")
        await self.answer("small")
        self.assertEqual(await client.text("x"), "small")

    async def test_a_call_without_a_worker(self) -> None:
        """The broker returns it."""
        await self.start()  # the exchange is there
        door = DOORS[self.example](self.url, "binary")
        await door.open([])
        self.addCleanup(door.close)
        case = Case("text", "text", ("x",))
        what, error = await door.call(case, self.unique("Nobody"), stubs()["Harbour"], ("x",))
        self.assertEqual(what, "raises")
        self.assertIn("no worker serves", str(error))


class NodeExampleTests(PlainExampleTests):
    """The same with Node.js."""

    example = "node"

    def setUp(self) -> None:
        if node_peer.missing():
            pytest.skip(f"no peer in Node.js: {node_peer.missing()}")
        super().setUp()
