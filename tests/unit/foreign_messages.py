"""Thrift messages of programs that have another version of the IDL, written field by field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.protocol.TJSONProtocol import TJSONProtocol
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

PROTOCOLS: dict[str, Callable[[Any], Any]] = {
    "binary": TBinaryProtocol,
    "compact": TCompactProtocol,
    "json": TJSONProtocol,
}

Fields = list[tuple[int, int, Any]]
"""Number, type and value. A struct's value is such a list, a list's or set's the type and the values."""


def write_struct(protocol: Any, fields: Fields) -> None:
    """Write a struct as another program would have it."""
    protocol.writeStructBegin("struct")
    for number, ttype, value in fields:
        protocol.writeFieldBegin("field", ttype, number)
        write_value(protocol, ttype, value)
        protocol.writeFieldEnd()
    protocol.writeFieldStop()
    protocol.writeStructEnd()


def write_value(protocol: Any, ttype: int, value: Any) -> None:
    """Write a value of one of the types that the tests use."""
    if ttype == TType.STRUCT:
        write_struct(protocol, value)
    elif ttype == TType.LIST:
        inner, values = value
        protocol.writeListBegin(inner, len(values))
        for each in values:
            write_value(protocol, inner, each)
        protocol.writeListEnd()
    elif isinstance(value, bytes):
        protocol.writeBinary(value)
    else:
        {TType.I32: protocol.writeI32, TType.STRING: protocol.writeString, TType.BOOL: protocol.writeBool}[ttype](value)


def message(protocol: str, name: str, kind: int, seqid: int, fields: Fields) -> bytes:
    """Return a whole message."""
    transport = TMemoryBuffer()
    writer = PROTOCOLS[protocol](transport)
    writer.writeMessageBegin(name, kind, seqid)
    write_struct(writer, fields)
    writer.writeMessageEnd()
    written: bytes = transport.getvalue()
    return written
