"""Method payloads: golden bytes, an independent client's bytes, round trips, and FrameError for all else."""

from __future__ import annotations

import inspect
import struct
from typing import Any

import pika.spec
import txamqp.codec
import txamqp.connection
import txamqp.content
import txamqp.spec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.methods import decode_method, encode_arguments
from rpc.amqp.codec.spec import load_spec
from rpc.errors import CodecError, FrameError

METHODS = [method for klass in load_spec().classes for method in klass.methods]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bit": st.booleans(),
    "octet": st.integers(0, 2**8 - 1),
    "short": st.integers(0, 2**16 - 1),
    "long": st.integers(0, 2**32 - 1),
    "longlong": st.integers(0, 2**64 - 1),
    "timestamp": st.integers(0, 2**64 - 1),
    "shortstr": st.binary(max_size=255).map(lambda data: data.decode("utf-8", "surrogateescape")),
    "longstr": st.binary(max_size=300),
    "table": st.dictionaries(st.text(max_size=20), st.none() | st.integers(0, 9) | st.text(max_size=9), max_size=3),
}
SAMPLES: dict[str, Any] = {
    "bit": True,
    "octet": 1,
    "short": 258,
    "long": 66051,
    "longlong": 2**40,
    "shortstr": "é",
    "longstr": b"\xff\x00",
    "table": {"a": True},
}


@st.composite
def invocations(draw: st.DrawFn) -> tuple[txamqp.spec.Method, tuple[Any, ...]]:
    """A method and arguments that fit it."""
    method = draw(st.sampled_from(METHODS))
    return method, tuple(draw(VALUES[field.type]) for field in method.fields)


def method_of(name: str) -> txamqp.spec.Method:
    """The method called ``class.method``."""
    return load_spec().parse_method(name)


class EncodeTests(SynchronousTestCase):
    """encode_arguments."""

    def test_encodes_as_the_specification_does(self) -> None:
        """Numbers, strings, tables and packed bits stand where the standard puts them."""
        data = encode_arguments(
            method_of("queue.declare"), (0, "rpc.é", False, True, False, True, False, {"x-max-length": 9})
        )
        self.assertEqual(
            data, b"\x00\x32\x00\x0a\x00\x00\x06rpc.\xc3\xa9\x0a\x00\x00\x00\x12\x0cx-max-lengthI\x00\x00\x00\x09"
        )
        self.assertEqual(encode_arguments(method_of("connection.close-ok"), ()), b"\x00\x0a\x00\x33")
        self.assertEqual(
            encode_arguments(method_of("basic.nack"), (1, True, True)), b"\x00\x3c\x00\x78" + bytes(7) + b"\x01\x03"
        )

    def test_encodes_as_pika_does(self) -> None:
        """Every method that pika can send has the same bytes: order and types of the XML's fields are right."""
        compared = 0
        for method in METHODS:
            if method.name in ("open-ok", "get-empty"):
                continue  # pika leaves reserved fields out, and has other names for them
            their_class = pika.spec.methods[method.klass.id << 16 | method.id]
            parameters = inspect.signature(their_class).parameters.values()
            theirs = their_class(*(None for parameter in parameters if parameter.default is parameter.empty))
            names = [field.name.replace("-", "_") for field in method.fields]
            args = []
            for name, field in zip(names, method.fields, strict=True):
                reserved = name.startswith("reserved")
                args.append(txamqp.spec.Method.DEFAULTS[field.type] if reserved else SAMPLES[field.type])
                if not reserved:
                    attribute = next(n for n in (name, f"{name}_", f"{name}_qos") if hasattr(theirs, n))
                    setattr(theirs, attribute, args[-1])
            expected = struct.pack("!HH", method.klass.id, method.id) + b"".join(theirs.encode())
            self.assertEqual(encode_arguments(method, args), expected, (method.klass.name, method.name))
            compared += 1
        self.assertGreater(compared, 55)

    def test_packs_more_than_eight_bits(self) -> None:
        """Bits take a second octet after eight, and start afresh after another field."""
        klass = txamqp.spec.Class(load_spec(), "many", 1, "channel", [])
        method = txamqp.spec.Method(klass, "bits", 2, False, [], False, "Bits.", [])
        types = ["bit"] * 9 + ["octet", "bit"]
        for number, kind in enumerate(types):
            method.fields.add(txamqp.spec.Field(f"f{number}", number, kind, []))
        klass.methods.add(method)
        spec = txamqp.spec.Spec(0, 9, None)
        spec.classes.add(klass)
        args = (True, *[False] * 6, True, True, 7, True)
        data = encode_arguments(method, args)
        self.assertEqual(data, b"\x00\x01\x00\x02\x81\x01\x07\x01")
        self.assertEqual(decode_method(spec, data), (method, args))

    def test_refuses_arguments_that_do_not_fit(self) -> None:
        """A wrong value or count is refused, with the names of method and field."""
        refused: list[tuple[str, tuple[Any, ...], str]] = [
            ("basic.qos", (0, 70000, False), "prefetch-count"),
            ("basic.qos", (-1, 0, False), "prefetch-size"),
            ("basic.qos", ("many", 0, False), "prefetch-size"),
            ("basic.qos", (0, 0), "3 arguments"),
            ("basic.qos", (0, 0, False, 0), "3 arguments"),
            ("basic.cancel", ("x" * 256, False), "consumer-tag"),
            ("basic.cancel", (None, False), "consumer-tag"),
            ("connection.secure-ok", (7,), "response"),
            ("connection.secure-ok", ("\ud800",), "response"),
            ("exchange.bind", (0, "d", "s", "k", False, {"a": object()}), "arguments"),
            ("exchange.bind", (0, "d", "s", "k", False, None), "arguments"),
        ]
        for name, args, told in refused:
            error = self.assertRaises(CodecError, encode_arguments, method_of(name), args)
            self.assertIn(told, str(error))
            self.assertIn(name, str(error))

    def test_takes_text_and_bytes_as_long_strings(self) -> None:
        """A long string takes text and bytes alike."""
        method = method_of("connection.secure-ok")
        expected = b"\x00\x0a\x00\x15\x00\x00\x00\x02\xc3\xa9"
        for value in ("é", b"\xc3\xa9", bytearray(b"\xc3\xa9"), memoryview(b"\xc3\xa9")):
            self.assertEqual(encode_arguments(method, (value,)), expected)


class DecodeTests(SynchronousTestCase):
    """decode_method."""

    @given(invocations())
    def test_decodes_what_it_encodes(self, invocation: tuple[txamqp.spec.Method, tuple[Any, ...]]) -> None:
        """Every method comes back as it was sent, from every kind of buffer and at any offset."""
        data = encode_arguments(*invocation)
        for buffer in (data, bytearray(data), memoryview(data)):
            self.assertEqual(decode_method(load_spec(), buffer), invocation)
        self.assertEqual(decode_method(load_spec(), b"__" + data, 2), invocation)

    def test_decodes_long_strings_as_bytes(self) -> None:
        """A long string stays bytes, also when it happens to be text."""
        payload = b"\x00\x0a\x00\x14\x00\x00\x00\x05plain"
        self.assertEqual(decode_method(load_spec(), payload), (method_of("connection.secure"), (b"plain",)))

    def test_decodes_methods_of_rabbitmq_alone(self) -> None:
        """ack, nack, cancel, blocked and unblocked from the broker decode (txAMQP closed the connection)."""
        for name, args in (
            ("basic.ack", (7, True)),
            ("basic.nack", (7, False, False)),
            ("basic.cancel", ("ctag", True)),
            ("connection.blocked", ("low on memory",)),
            ("connection.unblocked", ()),
        ):
            method = method_of(name)
            self.assertEqual(decode_method(load_spec(), encode_arguments(method, args)), (method, args))

    @given(invocations())
    def test_refuses_truncated_and_trailing_bytes(self, invocation: tuple[txamqp.spec.Method, tuple[Any, ...]]) -> None:
        """Cut at any byte, or with a byte too many, a payload is a syntax error."""
        data = encode_arguments(*invocation)
        for payload in (*(data[:size] for size in range(len(data))), data + b"\x00"):
            error = self.assertRaises(FrameError, decode_method, load_spec(), payload)
            self.assertEqual(error.code, 502)

    def test_refuses_unknown_methods(self) -> None:
        """A class or method that the specification lacks is not implemented."""
        for payload in (b"\x00\x1e\x00\x0a", b"\x00\x3c\x00\x01", b"\xff\xff\xff\xff"):
            error = self.assertRaises(FrameError, decode_method, load_spec(), payload)
            self.assertEqual(error.code, 540)

    @given(st.sampled_from(METHODS), st.binary(max_size=60))
    def test_decodes_any_bytes_or_raises_frame_error(self, method: txamqp.spec.Method, data: bytes) -> None:
        """Any bytes behind any method's number give a value or FrameError."""
        for payload in (struct.pack("!HH", method.klass.id, method.id) + data, data):
            try:
                found, values = decode_method(load_spec(), payload)
            except FrameError:
                continue
            self.assertEqual(len(values), len(found.fields))


class NeighbourTests(SynchronousTestCase):
    """Other users of txAMQP in the process."""

    def test_leaves_txamqp_alone(self) -> None:
        """txAMQP's decoders, spec path and codec are its own, after ours are loaded."""
        modules = (txamqp.codec.Codec, txamqp.connection, txamqp.content.Content, txamqp.spec)
        for part in modules:
            for name, value in vars(part).items():
                self.assertFalse(str(getattr(value, "__module__", "")).startswith("rpc"), f"{part}.{name}")
        decoders = txamqp.connection.Frame.DECODERS
        self.assertEqual({cls.__module__ for cls in decoders.values()}, {"txamqp.connection"})
