"""The envelope writes the bytes of Thrift, and reads them back."""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from thrift.protocol.TProtocol import TProtocolException
from thrift.Thrift import TApplicationException, TMessageType
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator.ttypes import Work
from rpc.envelope import CODECS, MAX_ELEMENTS, codec_for, fast_binary, read_application_exception
from rpc.errors import MalformedMessage, UnknownProtocol
from tests.unit.envelope_messages import (
    ADD,
    GOLDEN,
    Calculator,
    escaped,
    messages,
    plain_bytes,
    plain_value,
    read,
)


class ErrorOfUser(TApplicationException):
    """An error of a handler that is also one of Thrift's."""


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
            self.assertEqual(body, escaped(protocol, plain_bytes(protocol, name, kind, seqid, struct)))
            header = codec.read_header(body)
            self.assertEqual(header[:3], (name, kind, seqid))
            self.assertEqual(codec.read_struct(body, header[3], type(struct)), struct)
            self.assertEqual(plain_value(protocol, body, type(struct)), ((name, kind, seqid), struct))

    @given(st.none() | st.text(), st.none() | st.integers(-(2**31), 2**31 - 1), st.text(max_size=20))
    def test_application_exceptions_equal_those_of_plain_thrift(self, text: str | None, kind: Any, name: str) -> None:
        """In binary they are written by another way than Thrift's own. A peer chooses the name, so it is not kept."""
        binary: Any = CODECS["binary"]
        kept = len(getattr(binary, "_prefixes", ()))
        for error in (TApplicationException(kind, text), ErrorOfUser(kind, text)):
            for protocol, codec in CODECS.items():
                plain = plain_bytes(protocol, name, TMessageType.EXCEPTION, 7, error)
                encoded = codec.encode(name, TMessageType.EXCEPTION, 7, error)
                self.assertEqual(encoded, escaped(protocol, plain), protocol)
        self.assertEqual(len(getattr(binary, "_prefixes", ())), kept)

    def test_refuses_application_exceptions_that_do_not_fit(self) -> None:
        """With an error, for all types and values of their fields."""
        wrong: list[tuple[Any, Any]] = [(6, 5), (2**31, ""), ("6", ""), (6, b"\xff")]
        for kind, text in wrong:
            for codec in CODECS.values():
                with self.assertRaises((TypeError, ValueError, OverflowError, TProtocolException)):
                    codec.encode("m", TMessageType.EXCEPTION, 7, TApplicationException(kind, text))

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
        """Thrift's own limit is 16,384,000 bytes, and its JSON protocol takes ten seconds for them."""
        struct = Calculator.blob_args(b"x" * 16_777_216)
        for codec in CODECS.values():
            body = codec.encode("blob", TMessageType.CALL, 1, struct)
            began = time.thread_time()
            start = codec.read_header(body)[3]
            self.assertEqual(codec.read_struct(body, start, Calculator.blob_args, most=2 * MAX_ELEMENTS), struct)
            self.assertLess(time.thread_time() - began, 2)

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
        """Thrift's generated client would keep the half-written message in its transport."""
        for protocol, codec in CODECS.items():
            with self.assertRaises(Exception):  # noqa: B017  # Thrift raises various classes
                codec.encode("add", 1, 1, Calculator.add_args(1, object()))
            self.assertEqual(codec.encode("add", 1, 7, ADD), GOLDEN[protocol])


class ContentTypeTests(SynchronousTestCase):
    """codec_for."""

    def test_finds_each_codec_by_its_content_type(self) -> None:
        """The body does not matter then."""
        for codec in CODECS.values():
            for body in (b"", *GOLDEN.values()):
                self.assertIs(codec_for(codec.content_type, body), codec)

    def test_compares_content_types_as_media_types(self) -> None:
        """Letter case, parameters and white space before them make no difference (RFC 9110, section 8.3.1)."""
        for codec in CODECS.values():
            for written in (
                codec.content_type.upper(),
                codec.content_type.title(),
                f"{codec.content_type};charset=utf-8",
                f"{codec.content_type.swapcase()} ; a=b; c=d",
                f" {codec.content_type}\t",
            ):
                self.assertIs(codec_for(written, b""), codec, written)

    def test_tells_the_protocol_of_a_message_without_content_type(self) -> None:
        """By the first byte; also with a content type that is empty, or has parameters alone. Others are binary."""
        for content_type in (None, "", " ", ";charset=utf-8"):
            for protocol, body in GOLDEN.items():
                self.assertIs(codec_for(content_type, body), CODECS[protocol])
            for body in (b"", b"\0\0\0\x03add", b"{", b"\x81"):
                self.assertIs(codec_for(content_type, body), CODECS["binary"])

    def test_refuses_an_unknown_content_type(self) -> None:
        """The error has it, and the known ones. The body is not looked at."""
        for content_type in (
            "text/plain",
            "binary",
            "application/vnd.apache.thrift",
            "application/vnd.apache.thrift.binary2",
            "text/plain;application/vnd.apache.thrift.binary",
            "application/vnd.apache.thrift.binary,text/plain",
            "\udcff",
        ):
            with self.assertRaises(UnknownProtocol) as caught:
                codec_for(content_type, GOLDEN["binary"])
            self.assertIn("application/vnd.apache.thrift.compact", str(caught.exception))
            str(caught.exception).encode()
