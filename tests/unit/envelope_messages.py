"""For tests of the envelope: messages, and their bytes as plain Thrift writes them."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.protocol.TJSONProtocol import TJSONProtocol
from thrift.transport.TTransport import TMemoryBuffer

from generated.calculator import Calculator as CalculatorStub
from rpc.envelope import Codec, read_value
from tests.values import generated_structs, structs

Calculator: Any = CalculatorStub  # its .pyi leaves out the structs of messages, which are not for users

PLAIN = {"binary": TBinaryProtocol, "compact": TCompactProtocol, "json": TJSONProtocol}

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


def escaped(protocol: str, body: bytes) -> bytes:
    """Return a message of Thrift with its control characters escaped, which Thrift's Python forgets in JSON."""
    if protocol != "json":
        return body
    return re.sub(rb"[\x00-\x1f]", lambda found: b"\\u%04x" % ord(found[0]), body)


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
