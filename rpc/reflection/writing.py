"""Writes structs to any of Thrift's protocols, by their ``thrift_spec``."""

from __future__ import annotations

from typing import Any, Final

from thrift.Thrift import TType

from rpc.generated_classes import fields_of

_BASE: Final = {
    TType.BOOL: "writeBool",
    TType.BYTE: "writeByte",
    TType.I16: "writeI16",
    TType.I32: "writeI32",
    TType.I64: "writeI64",
    TType.DOUBLE: "writeDouble",
    TType.STRING: "writeString",
    TType.UUID: "writeUuid",
}


def write_struct(struct: Any, protocol: Any) -> None:
    """Write the fields that are set, in the order of their numbers, as generated code does."""
    owner = type(struct)
    encode = getattr(protocol, "_fast_encode", None)  # only Thrift's accelerated protocols have it
    if encode is not None:
        protocol.trans.write(encode(struct, [owner, owner.thrift_spec]))
        return
    protocol.writeStructBegin(owner.__name__)
    for number, ttype, name, details, _ in sorted(fields_of(owner), key=lambda field: field[0]):
        value = getattr(struct, name)
        if value is not None:
            protocol.writeFieldBegin(name, ttype, number)
            _write(protocol, ttype, details, value)
            protocol.writeFieldEnd()
    protocol.writeFieldStop()
    protocol.writeStructEnd()


def _write(protocol: Any, ttype: int, details: Any, value: Any) -> None:
    if ttype == TType.STRUCT:
        details[0].write(value, protocol)  # of the class: a field may have its name
    elif ttype == TType.LIST:
        protocol.writeListBegin(details[0], len(value))
        for element in value:
            _write(protocol, details[0], details[1], element)
        protocol.writeListEnd()
    elif ttype == TType.SET:
        protocol.writeSetBegin(details[0], len(value))
        for element in value:
            _write(protocol, details[0], details[1], element)
        protocol.writeSetEnd()
    elif ttype == TType.MAP:
        protocol.writeMapBegin(details[0], details[2], len(value))
        for key, item in value.items():
            _write(protocol, details[0], details[1], key)
            _write(protocol, details[2], details[3], item)
        protocol.writeMapEnd()
    elif details == "BINARY":
        protocol.writeBinary(value)
    else:
        getattr(protocol, _BASE[ttype])(value)
