"""The envelope writes the bytes of Thrift, and reads any bytes as a value or MalformedMessage."""

from __future__ import annotations

import contextlib
import gc
import sys
import time
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.protocol.TJSONProtocol import TJSONProtocol
from thrift.Thrift import TApplicationException, TMessageType
from thrift.transport.TTransport import TMemoryBuffer
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import Work
from generated.kvstore.ttypes import Page
from rpc.envelope import (
    CODECS,
    CONTAINER_LIMIT,
    Codec,
    codec_for,
    fast_binary,
    read_application_exception,
    read_value,
)
from rpc.errors import MalformedMessage, UnknownProtocol
from tests.values import generated_structs, structs

Calculator: Any = CalculatorStub  # its .pyi leaves out the structs of messages, which are not for users

PLAIN = {"binary": TBinaryProtocol, "compact": TCompactProtocol, "json": TJSONProtocol}

MANY = 1_000_000

messages = st.tuples(
    st.text(max_size=20), st.sampled_from([1, 2, 3, 4]), st.integers(0, 2**31 - 1),
    st.sampled_from(generated_structs()).flatmap(structs),
)  # fmt: skip

ADD = Calculator.add_args(num1=1, num2=-2)
GOLDEN = {
    "binary": (
        b"\x80\x01\x00\x01\x00\x00\x00\x03add\x00\x00\x00\x07"
        b"\x08\x00\x01\x00\x00\x00\x01\x08\x00\x02\xff\xff\xff\xfe\x00"
    ),
    "compact": b"\x82\x21\x07\x03add\x15\x02\x15\x03\x00",
    "json": b'[1,"add",1,7,{"1":{"i32":1},"2":{"i32":-2}}]',
}


def plain_bytes(protocol: str, name: str, kind: int, seqid: int, struct: Any) -> bytes:
    """Return the message as Thrift's plain protocol object writes it."""
    transport = TMemoryBuffer()
    written = PLAIN[protocol](transport)
    written.writeMessageBegin(name, kind, seqid)
    struct.write(written)
    written.writeMessageEnd()
    return transport.getvalue()


def plain_value(protocol: str, body: bytes, struct_class: type) -> tuple[Any, Any]:
    """Return header and struct as Thrift's plain protocol object reads them."""
    read = PLAIN[protocol](TMemoryBuffer(body))
    header = read.readMessageBegin()
    value = read_value(struct_class, read)
    read.readMessageEnd()
    return header, value


def read(codec: Codec, body: bytes, struct_class: type) -> Any:
    """Return the message's struct, read as a worker reads it."""
    return codec.read_struct(body, codec.read_header(body)[3], struct_class)


class BytesTests(SynchronousTestCase):
    """Bytes are those of Thrift, both ways."""

    def test_writes_the_bytes_of_the_thrift_specification(self) -> None:
        """One message in each protocol."""
        for protocol, golden in GOLDEN.items():
            codec = CODECS[protocol]
            self.assertEqual(codec.encode("add", TMessageType.CALL, 7, ADD), golden)
            self.assertEqual(codec.read_header(golden)[:3], ("add", TMessageType.CALL, 7))
            self.assertEqual(read(codec, golden, Calculator.add_args), ADD)

    @settings(max_examples=150)
    @given(messages)
    def test_bytes_equal_those_of_plain_thrift(self, message: tuple[str, int, int, Any]) -> None:
        """For every struct of the project's IDL, both ways: equal bytes are written, and equal values are read."""
        self.assert_equal_to_plain_thrift(message)

    @settings(max_examples=150)
    @given(messages)
    def test_bytes_of_long_strings_equal_those_of_plain_thrift(self, message: tuple[str, int, int, Any]) -> None:
        """The way of long strings, used here for all strings."""
        self.patch(fast_binary, "LONG_STRING", 0)
        self.assert_equal_to_plain_thrift(message)

    def assert_equal_to_plain_thrift(self, message: tuple[str, int, int, Any]) -> None:
        """Check that our bytes are plain Thrift's, and that both can be read by either."""
        name, kind, seqid, struct = message
        for protocol, codec in CODECS.items():
            body = codec.encode(name, kind, seqid, struct)
            self.assertEqual(body, plain_bytes(protocol, name, kind, seqid, struct))
            header = codec.read_header(body)
            self.assertEqual(header[:3], (name, kind, seqid))
            self.assertEqual(codec.read_struct(body, header[3], type(struct)), struct)
            self.assertEqual(plain_value(protocol, body, type(struct)), ((name, kind, seqid), struct))

    @given(st.text(), st.integers(-(2**31), 2**31 - 1))
    def test_reads_application_exceptions_back(self, text: str, seqid: int) -> None:
        """With any text and any seqid of a peer."""
        for codec in CODECS.values():
            body = codec.encode("m", TMessageType.EXCEPTION, seqid, TApplicationException(6, text))
            header = codec.read_header(body)
            self.assertEqual(header[2], seqid)
            exception = read_application_exception(codec, body, header[3])
            self.assertEqual((exception.type, exception.message), (6, text))

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\/\b\f\n\r\t\0\x1f𝄞')))
    def test_reads_json_text_as_plain_thrift_does(self, text: str) -> None:
        """Text that JSON escapes, and text that it does not."""
        struct = Calculator.echo_args(Work(comment=text))
        body = plain_bytes("json", "echo", 1, 1, struct)
        self.assertEqual(read(CODECS["json"], body, Calculator.echo_args), struct)

    def test_reads_json_text_with_nul_as_utf_8(self) -> None:
        """Python's json takes bytes with a NUL beside an escape for UTF-16."""
        for text in ("\x00\\", "\x000\r", "\x00\r", "\\\x00\x00\x00"):
            self.test_reads_json_text_as_plain_thrift_does.hypothesis.inner_test(self, text)  # type: ignore[attr-defined]

    def test_reads_json_escapes_of_every_kind(self) -> None:
        """Surrogate pairs, too; half a pair is malformed."""
        begin, end = b'[1,"echo",1,1,{"1":{"rec":{"4":{"str":"', b'"}}}}]'
        work = read(CODECS["json"], begin + rb"\"\\\/\b\f\n\r\t\u00e9\ud834\udd1e" + end, Calculator.echo_args).work
        self.assertEqual(work.comment, '"\\/\b\f\n\r\té𝄞')
        for broken in (rb"\ud834", rb"\udd1e", rb"\x", rb"\u12", b"\\"):
            with self.assertRaises(MalformedMessage):
                read(CODECS["json"], begin + broken + end, Calculator.echo_args)

    def test_reads_a_binary_message_without_version(self) -> None:
        """The old form of the binary protocol."""
        old = b"\x00\x00\x00\x03add\x01\x00\x00\x00\x07"
        body = old + GOLDEN["binary"][15:]
        self.assertEqual(CODECS["binary"].read_header(body), ("add", 1, 7, len(old)))
        self.assertEqual(read(CODECS["binary"], body, Calculator.add_args), ADD)

    def test_reads_strings_above_16_megabytes_quickly(self) -> None:
        """PITFALLS, Thrift protocols: Thrift's limit is 16,384,000 bytes, and its JSON takes ten seconds for them."""
        struct = Calculator.blob_args(b"x" * 16_777_216)
        for codec in CODECS.values():
            body = codec.encode("blob", TMessageType.CALL, 1, struct)
            began = time.perf_counter()
            self.assertEqual(read(codec, body, Calculator.blob_args), struct)
            self.assertLess(time.perf_counter() - began, 2)

    def test_keeps_no_reference_to_a_body(self) -> None:
        """Neither after success nor after an error: a body may have 16 MiB, and a worker may then be idle."""
        for codec in CODECS.values():
            body = codec.encode("add", TMessageType.CALL, 7, ADD)
            before = sys.getrefcount(body)
            read(codec, body, Calculator.add_args)
            self.assertEqual(sys.getrefcount(body), before)
            body = body[:-1]
            before = sys.getrefcount(body)
            self.assertRaises(MalformedMessage, read, codec, body, Calculator.add_args)
            gc.collect()
            self.assertEqual(sys.getrefcount(body), before)

    def test_a_value_that_does_not_encode_has_no_effect_on_the_next_message(self) -> None:
        """PITFALLS, stubs 3."""
        for protocol, codec in CODECS.items():
            with self.assertRaises(Exception):  # noqa: B017  # Thrift raises what it likes
                codec.encode("add", 1, 1, Calculator.add_args(1, object()))
            self.assertEqual(codec.encode("add", 1, 7, ADD), GOLDEN[protocol])


class MalformedTests(SynchronousTestCase):
    """PITFALLS, Thrift protocols: decoding raises errors of many classes; here only MalformedMessage."""

    def test_refuses_a_message_truncated_at_any_byte(self) -> None:
        """No prefix of a message is a message."""
        struct = Page([], "nächste")
        for codec in CODECS.values():
            for value in (ADD, struct):
                body = codec.encode("scan", TMessageType.CALL, 1, value)
                for size in range(len(body)):
                    with self.assertRaises(MalformedMessage):
                        read(codec, body[:size], type(value))

    def test_refuses_bytes_that_follow_the_message(self) -> None:
        """In each protocol."""
        for protocol, codec in CODECS.items():
            for trailing in (b"\x00", b"]", GOLDEN[protocol]):
                with self.assertRaises(MalformedMessage):
                    read(codec, GOLDEN[protocol] + trailing, Calculator.add_args)

    @settings(deadline=2000, max_examples=200)
    @given(st.binary(max_size=200), st.sampled_from(generated_structs()), st.integers(0, 200))
    @example(b"1", Work, 0)
    @example(b"[1", Work, 0)
    @example(b'[1,"add",1,1,{"1":{"i32":1', Work, 0)
    @example(b"\xff\xfe[\x001\x00", Work, 0)
    def test_any_bytes_are_a_value_or_malformed(self, data: bytes, struct: type, keep: int) -> None:
        """Also after the beginning of a valid message."""
        for protocol, codec in CODECS.items():
            for body in (data, GOLDEN[protocol][:keep] + data, GOLDEN[protocol][:keep] + data + b"]"):
                try:
                    read(codec, body, struct)
                except MalformedMessage as error:
                    self.assertLess(len(str(error)), 400)

    @settings(deadline=2000, max_examples=150)
    @given(messages, st.integers(0, 500), st.integers(0, 255))
    def test_a_message_with_one_changed_byte_is_a_value_or_malformed(
        self, message: tuple[str, int, int, Any], place: int, byte: int
    ) -> None:
        """At any place."""
        for codec in CODECS.values():
            body = bytearray(codec.encode(*message))
            body[place % len(body)] = byte
            with contextlib.suppress(MalformedMessage):
                read(codec, bytes(body), type(message[3]))

    def test_every_error_has_a_reason(self) -> None:
        """Thrift raises some errors without a text."""
        for codec in CODECS.values():
            for body in (b"", b"\x80\x01\x00\x01\x00", b"\x82\x21\x01"):
                with self.assertRaises(MalformedMessage) as caught:
                    codec.read_header(body)
                self.assertNotRegex(str(caught.exception), r": $")

    def assert_refused_at_once(self, protocol: str, body: bytes, struct: type = Calculator.add_args) -> None:
        """Check that `body` is malformed, with a short error, within a second."""
        began = time.perf_counter()
        with self.assertRaises(MalformedMessage) as caught:
            read(CODECS[protocol], body, struct)
        self.assertLess(time.perf_counter() - began, 1)
        self.assertLess(len(str(caught.exception)), 400)

    def test_refuses_json_that_ends_in_a_number(self) -> None:
        """PITFALLS, Thrift protocols: Thrift's JSON reads it for ever."""
        for body in (b'[1,"add",1,1', b"[", b"[1", b"1", b"12", b'[1,"add",1,1,{"1":{"i32":1', b'[1,"a",1,1,{"', b""):
            self.assert_refused_at_once("json", body)

    def test_refuses_a_json_number_of_a_million_digits(self) -> None:
        """In less than a second."""
        self.assert_refused_at_once("json", b'[1,"add",1,' + b"1" * MANY + b"]")
        self.assert_refused_at_once("json", b'[1,"echo",1,1,{"1":{"dbl":' + b"1" * MANY + b"}}]", Calculator.echo_args)

    def test_refuses_a_json_string_without_an_end(self) -> None:
        """In less than a second, also with escapes."""
        for text in (b"a", b"\\\\", b'\\"', b"\\"):
            self.assert_refused_at_once("json", b'[1,"' + text * MANY + b"]")

    def test_refuses_structs_and_containers_nested_a_million_deep(self) -> None:
        """PITFALLS, Thrift protocols: the process survives."""
        binary, compact = GOLDEN["binary"][:15], GOLDEN["compact"][:7]
        self.assert_refused_at_once("binary", binary + b"\x0c\x00\x09" * MANY)
        self.assert_refused_at_once("binary", binary + b"\x0f\x00\x09" + b"\x0f\x00\x00\x00\x01" * MANY)
        self.assert_refused_at_once("binary", binary + b"\x0c\x00\x09" * MANY, TApplicationException)
        self.assert_refused_at_once("compact", compact + b"\x9c" * MANY)
        self.assert_refused_at_once("compact", compact + b"\x99" + b"\x19" * MANY)
        self.assert_refused_at_once("compact", compact + b"\x9c" * MANY, TApplicationException)
        self.assert_refused_at_once("json", b'[1,"add",1,1,' + b'{"9":{"rec":' * MANY + b"]")
        self.assert_refused_at_once("json", b"[" * MANY + b"]" * MANY)

    def test_does_not_trust_declared_sizes(self) -> None:
        """PITFALLS, Thrift protocols: of strings, names and containers."""
        binary, compact = GOLDEN["binary"][:15], GOLDEN["compact"][:7]
        blob, numbers = Calculator.blob_args, Calculator.sum_args
        for size in (b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\x00\x00\x00"):
            self.assert_refused_at_once("binary", b"\x80\x01\x00\x01" + size)
            self.assert_refused_at_once("binary", size + b"add")
            self.assert_refused_at_once("binary", binary + b"\x0b\x00\x01" + size + b"x", blob)
            self.assert_refused_at_once("binary", binary + b"\x0b\x00\x01" + size + b"x", TApplicationException)
            self.assert_refused_at_once("binary", binary + b"\x0c\x00\x01\x0f\x00\x01\x0a" + size + b"x", numbers)
        for size in (b"\xff\xff\xff\xff\x07", b"\xff\xff\xff\xff\x0f", b"\xff" * MANY):
            self.assert_refused_at_once("compact", b"\x82\x21\x07" + size)
            self.assert_refused_at_once("compact", b"\x82\x21" + size)
            self.assert_refused_at_once("compact", compact + b"\x18" + size + b"x", blob)
            self.assert_refused_at_once("compact", compact + b"\x1c\x19\xf6" + size + b"x", numbers)
        for declared in (b"2147483647", b"9" * 900):
            body = b'[1,"sum",1,1,{"1":{"rec":{"1":{"lst":["i64",' + declared + b",1]}}}}]"
            self.assert_refused_at_once("json", body, numbers)

    def test_limits_the_elements_of_a_container(self) -> None:
        """PITFALLS, Thrift protocols: an element of a byte may cost a hundred bytes in memory."""
        size = (CONTAINER_LIMIT + 1).to_bytes(4, "big")
        page = GOLDEN["binary"][:15] + b"\x0f\x00\x01\x0c" + size + b"\x00" * (CONTAINER_LIMIT + 1) + b"\x00"
        self.assert_refused_at_once("binary", page, Page)
        compact = GOLDEN["compact"][:7] + b"\x19\xfc\xc1\x84\x3d" + b"\x00" * (CONTAINER_LIMIT + 1) + b"\x00"
        self.assert_refused_at_once("compact", compact, Page)

    def test_refuses_containers_whose_elements_have_no_bytes(self) -> None:
        """They are not counted through."""
        for element in (b"\x00", b"\x01"):
            for field in (b"\x0f", b"\x0e"):
                many = field + b"\x00\x09" + element + b"\x00\x0f\x42\x3f"
                self.assert_refused_at_once("binary", GOLDEN["binary"][:15] + many * 1000)

    def test_errors_do_not_quote_the_body(self) -> None:
        """A megabyte of bytes that are no UTF-8 would go to the log and to the peer."""
        size = MANY.to_bytes(4, "big")
        self.assert_refused_at_once("binary", b"\x80\x01\x00\x01" + size + b"\xff" * MANY + b"\x00\x00\x00\x01")
        self.assert_refused_at_once("json", b'[1,"' + b"\xff" * MANY + b'"]')

    def test_skips_a_field_of_another_type(self) -> None:
        """As Thrift does."""
        for protocol, codec in CODECS.items():
            body = plain_bytes(protocol, "add", 1, 1, Calculator.blob_args(b"not a number"))
            self.assertEqual(read(codec, body, Calculator.add_args), Calculator.add_args())


class ContentTypeTests(SynchronousTestCase):
    """codec_for."""

    def test_finds_each_codec_by_its_content_type(self) -> None:
        """A message without one is binary."""
        for codec in CODECS.values():
            self.assertIs(codec_for(codec.content_type), codec)
        self.assertIs(codec_for(None), CODECS["binary"])

    def test_refuses_an_unknown_content_type(self) -> None:
        """The error has it, and the known ones."""
        for content_type in ("", "text/plain", "application/vnd.apache.thrift.BINARY", "\udcff"):
            with self.assertRaises(UnknownProtocol) as caught:
                codec_for(content_type)
            self.assertIn("application/vnd.apache.thrift.compact", str(caught.exception))
            str(caught.exception).encode()
