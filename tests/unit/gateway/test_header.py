"""Clients of THeader, on a transport in memory."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from thrift.protocol.THeaderProtocol import THeaderProtocol
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.THeaderTransport import THeaderClientType, THeaderSubprotocolID, THeaderTransformID
from thrift.transport.TTransport import TMemoryBuffer

from rpc.envelope import CODECS
from tests.unit.gateway.gateway_in_memory import Calculator, GatewayTestCase, exception_in, framed, frames, request

PROTOCOLS = {"binary": THeaderSubprotocolID.BINARY, "compact": THeaderSubprotocolID.COMPACT}

ALLOWED = (THeaderClientType.HEADERS,)


def header_request(
    protocol: str = "binary", headers: dict[bytes, bytes] | None = None, zipped: int = 0, seqid: int = 7
) -> bytes:
    """Return the frame of a call, as Thrift's client writes it."""
    buffer = TMemoryBuffer()
    writer: Any = THeaderProtocol(buffer, ALLOWED, PROTOCOLS[protocol])
    for name, value in (headers or {}).items():
        writer.set_header(name, value)
    for _ in range(zipped):
        writer.add_transform(THeaderTransformID.ZLIB)
    writer.writeMessageBegin("add", TMessageType.CALL, seqid)
    Calculator.add_args(1, 2).write(writer)
    writer.writeMessageEnd()
    writer.trans.flush()
    return buffer.getvalue()


def raw_frame(payload: bytes, protocol_id: int = 0, transforms: bytes = b"\0") -> bytes:
    """Return a frame with a head by hand."""
    head = bytes((protocol_id,)) + transforms
    head += bytes(-len(head) % 4)
    return framed(struct.pack("!HHiH", 0x0FFF, 0, 9, len(head) // 4) + head + payload)


def read_answer(data: bytes) -> tuple[tuple[str, int, int], Any, Any]:
    """Return head, protocol object and transport of an answer, as Thrift's client reads it."""
    reader: Any = THeaderProtocol(TMemoryBuffer(data), ALLOWED)
    return reader.readMessageBegin(), reader, reader.trans


class HeaderTests(GatewayTestCase):
    """THeader."""

    def answered(self, sent: bytes) -> bytes:
        """Send a frame, answer its call, and return the frame of the answer."""
        protocol, transport = self.connect()
        protocol.dataReceived(sent)
        for published in self.requests():
            self.answer(published)
        self.assertFalse(transport.disconnecting)
        return transport.take()

    def test_answers_as_thrifts_client_reads_it(self) -> None:
        """In both protocols, with or without compression, with the client's number."""
        for each, protocol_id in PROTOCOLS.items():
            for zipped in (0, 1):
                head, reader, transport = read_answer(self.answered(header_request(each, zipped=zipped)))
                self.assertEqual(head, ("add", TMessageType.REPLY, 7))
                self.assertEqual((transport.protocol_id, transport.sequence_id), (protocol_id, 7))
                result = Calculator.add_result()
                result.read(reader)
                self.assertEqual(result.success, 3)

    def test_plain_frames_and_theader_share_a_connection(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(header_request() + framed(request()))
        for published in self.requests():
            self.answer(published)
        first, second = frames(transport.take())
        self.assertEqual((first[:2], second[:2]), (b"\x0f\xff", b"\x80\x01"))

    def test_a_client_may_ask_for_a_shorter_time(self) -> None:
        protocol, transport = self.connect()
        protocol.dataReceived(header_request(headers={b"rpc-timeout-ms": b"1500"}))
        self.assertEqual(self.requests()[0].properties.expiration, "1500")
        self.clock.pump([0.1] * 20)
        self.assertEqual(read_answer(transport.take())[0], ("add", TMessageType.EXCEPTION, 7))

    def test_not_for_a_longer_one(self) -> None:
        self.set_up(timeout=2.0)
        protocol, _ = self.connect()
        protocol.dataReceived(header_request(headers={b"rpc-timeout-ms": b"99999"}))
        self.assertEqual(self.requests()[0].properties.expiration, "2000")

    def refusal(self, sent: bytes) -> tuple[int, str]:
        """Return type and text of the gateway's own answer."""
        head, reader, transport = read_answer(self.answered(sent))
        self.assertEqual((head[1], transport.protocol_id), (TMessageType.EXCEPTION, THeaderSubprotocolID.BINARY))
        error = TApplicationException()
        error.read(reader)
        return error.type, error.message or ""

    def test_refuses_unknown_protocols_transforms_and_times(self) -> None:
        """The frames are whole, so the connection goes on."""
        self.assertEqual(self.refusal(raw_frame(b"", protocol_id=5))[0], TApplicationException.INVALID_PROTOCOL)
        unknown = raw_frame(b"", transforms=b"\1\7")
        self.assertEqual(self.refusal(unknown)[0], TApplicationException.INVALID_TRANSFORM)
        for value in (b"soon", b"0", b"-1", b"", b"9" * 11):
            kind, text = self.refusal(header_request("compact", {b"rpc-timeout-ms": value}))
            self.assertEqual(kind, TApplicationException.PROTOCOL_ERROR)
            self.assertIn("InvalidRequest: rpc-timeout-ms", text)

    def test_a_message_that_cannot_be_read_is_answered_in_its_frame(self) -> None:
        for sent in (raw_frame(b"\x80\1\0\1"), raw_frame(zlib.compress(request())[:9], transforms=b"\1\1")):
            self.assertEqual(self.refusal(sent)[0], TApplicationException.PROTOCOL_ERROR)

    def test_closes_on_frames_that_cost_too_much(self) -> None:
        """A message that is large only after decompression; compression within compression; counts without end."""
        self.set_up(max_message_size=10_000)
        bomb = raw_frame(zlib.compress(bytes(10**6)), transforms=b"\1\1")
        nested = raw_frame(zlib.compress(zlib.compress(request())), transforms=b"\2\1\1")
        many = raw_frame(b"\1" * 9000, transforms=b"\xff\xff\xff\xff\x7f" + b"\1" * 98)
        pairs = raw_frame(b"\0" * 9000, transforms=b"\0\1\xff\xff\xff\xff\x7f\0\0")
        large_head = raw_frame(b"", transforms=b"\0" + b"\1" * 20_000)
        long_number = raw_frame(b"", transforms=b"\xff" * 3000)
        for sent in (bomb, nested, many, pairs, large_head, long_number):
            protocol, transport = self.connect()
            protocol.dataReceived(sent)
            self.assertTrue(transport.disconnecting, sent[:40])
            self.assertEqual(self.requests(), [])

    def test_codecs_know_the_protocols(self) -> None:
        self.assertLessEqual(PROTOCOLS.keys(), CODECS.keys())
        self.assertEqual(exception_in(CODECS["binary"].encode("a", 3, 1, TApplicationException(6, "t")))[3], "t")
