"""Bytes that are no Thrift message: reading them raises MalformedMessage, soon."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from thrift.Thrift import TApplicationException, TMessageType
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator.ttypes import Work
from generated.kvstore.ttypes import Page
from rpc.envelope import CODECS, CONTAINER_LIMIT
from rpc.errors import MalformedMessage
from tests.unit.envelope_messages import ADD, GOLDEN, Calculator, messages, plain_bytes, read
from tests.values import generated_structs

MANY = 1_000_000


def varint(number: int) -> bytes:
    """Return a number in seven bits a byte, the lowest first, as Thrift's compact protocol has it."""
    data = b""
    while number >= 128:
        data += bytes((number & 127 | 128,))
        number >>= 7
    return data + bytes((number,))


class MalformedTests(SynchronousTestCase):
    """Thrift's decoders raise errors of many classes; the envelope raises only MalformedMessage."""

    def test_refuses_a_message_truncated_at_any_byte(self) -> None:
        """No prefix of a message is a message."""
        struct = Page([], "nächste")
        for codec in CODECS.values():
            for value in (ADD, struct):
                body = codec.encode("scan", TMessageType.CALL, 1, value)
                for size in range(len(body)):
                    with self.assertRaises(MalformedMessage):
                        read(codec, body[:size], type(value))

    def test_refuses_a_seqid_that_is_no_i32(self) -> None:
        """Compact has up to 70 bits for it, and JSON any number of digits. Binary cannot encode another one."""
        compact = CODECS["compact"].encode("add", TMessageType.CALL, 5, ADD)
        for unsigned in (2**33, 2**40, 2**69):
            other = compact[:2] + varint(unsigned) + compact[3:]
            self.assertRaises(MalformedMessage, CODECS["compact"].read_header, other)
        json = CODECS["json"].encode("add", TMessageType.CALL, 5, ADD)
        for seqid in (-(2**31) - 1, 2**31, 2**69):
            other = json.replace(b",5,", f",{seqid},".encode(), 1)
            self.assertRaises(MalformedMessage, CODECS["json"].read_header, other)

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
        """Check that `body` is malformed, with a short error, within a second of the processor."""
        began = time.thread_time()
        with self.assertRaises(MalformedMessage) as caught:
            read(CODECS[protocol], body, struct)
        self.assertLess(time.thread_time() - began, 1)
        self.assertLess(len(str(caught.exception)), 400)

    def test_refuses_json_that_ends_in_a_number(self) -> None:
        """Thrift's JSON protocol reads such a number for ever."""
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
        """The process survives: Thrift's extension and Python have recursion limits."""
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
        """Of strings, names and containers: Thrift would allocate memory for them."""
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
        """An element of one byte may cost a hundred bytes in memory."""
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
