"""How a message that cannot be used differs from its struct in the stub: peers may have other versions of the IDL.

Thrift skips fields that it does not know, and those of another type. What is left then is a field without a value, or
an error that names none. So a message that was refused is read once more, into a tree of its fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import attrs
from thrift.protocol.TProtocol import TProtocolBase
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

from rpc.envelope.codecs import CODECS
from rpc.envelope.json_reader import parser
from rpc.envelope.json_types import TAGS
from rpc.envelope.limits import CONTAINER_LIMIT, STRING_LIMIT
from rpc.envelope.plain_protocols import PlainBinaryProtocol, PlainCompactProtocol
from rpc.generated_classes import TYPE_NAMES, fields_of

LARGEST_MESSAGE = 16384
"""Bytes of a message that is read again. Thrift's protocols in Python take some 10 ms for them at worst."""

MOST_COMPARED = 1000
"""Elements of a container that are compared with the stub."""

MOST_TOLD = 3
"""Differences in one text."""

_PLAIN = {
    CODECS["binary"].content_type: PlainBinaryProtocol,
    CODECS["compact"].content_type: PlainCompactProtocol,
}

_TYPES = {tag: ttype for ttype, tag in TAGS.items()}

_SET = object()
"""A value of a field that is set."""


@attrs.frozen
class _Field:
    """A field of a message. The value of a base type is ``None``."""

    number: int
    ttype: int
    value: Any


@attrs.frozen
class _Elements:
    """A list or a set; or the keys, or the values, of a map."""

    ttype: int
    values: list[Any]


def differences(body: bytes, content_type: str, start: int, struct_class: type, peer: str) -> str:
    """Return the differences in words, as the end of an error's text; ``""`` when none is found.

    They are fields of another type, required fields that are missing, and fields of the outermost struct that the stub
    does not have. Inner structs may have such fields: adding one is compatible.

    :param start: the offset of the struct in the message.
    :param peer: ``"the worker"`` or ``"the caller"``, which has sent the message.
    """
    fields = _read(body, content_type, start)
    if fields is None:
        return ""
    found = list(_unknown(fields, struct_class, peer))
    for difference in _compared(fields, struct_class, peer):
        if difference not in found:
            found.append(difference)
        if len(found) >= MOST_TOLD:
            break
    return f"; its IDL seems to be another version: {'; '.join(found[:MOST_TOLD])}" if found else ""


def has_unknown_exception(body: bytes, content_type: str, start: int, result_class: type) -> bool:
    """Return whether a result has a field beside 0, the method's value, that the stub does not have. A result that is
    too large to look at has: without an exception, that of a ``void`` method is empty.
    """
    fields = _read(body, content_type, start)
    return fields is None or any(_unknown(fields, result_class, ""))


# -- reading


def _read(body: bytes, content_type: str, start: int) -> list[_Field] | None:
    """Return the fields of a message's struct; ``None`` when it is malformed, or too large."""
    if len(body) > LARGEST_MESSAGE:
        return None
    try:
        new_protocol = _PLAIN.get(content_type)
        if new_protocol is None:
            return _json_struct(parser.raw_decode(body[start:].decode())[0])
        protocol = new_protocol(
            TMemoryBuffer(body), string_length_limit=STRING_LIMIT, container_length_limit=CONTAINER_LIMIT
        )
        protocol.readMessageBegin()
        protocol.readString = protocol.readBinary  # it is skipped, and a text of the stub may be binary
        return _struct(protocol)
    except Exception:  # Thrift raises errors of nearly any class
        return None


def _struct(protocol: TProtocolBase) -> list[_Field]:
    fields = []
    protocol.readStructBegin()
    while True:
        _, ttype, number = protocol.readFieldBegin()
        if ttype == TType.STOP:
            break
        fields.append(_Field(number, ttype, _value(protocol, ttype)))
        protocol.readFieldEnd()
    protocol.readStructEnd()
    return fields


def _value(protocol: TProtocolBase, ttype: int) -> Any:
    if ttype == TType.STRUCT:
        return _struct(protocol)
    if ttype in (TType.LIST, TType.SET):
        inner, size = protocol.readListBegin() if ttype == TType.LIST else protocol.readSetBegin()
        elements = _Elements(inner, [_value(protocol, inner) for _ in range(size)])
        if ttype == TType.LIST:
            protocol.readListEnd()
        else:
            protocol.readSetEnd()
        return elements
    if ttype == TType.MAP:
        key, inner, size = protocol.readMapBegin()
        pairs = [(_value(protocol, key), _value(protocol, inner)) for _ in range(size)]
        protocol.readMapEnd()
        return _Elements(key, [pair[0] for pair in pairs]), _Elements(inner, [pair[1] for pair in pairs])
    protocol.skip(ttype)
    return None


def _json_struct(pairs: Any) -> list[_Field]:
    return [_Field(int(number), _TYPES[tag], _json_value(tag, value)) for number, ((tag, value),) in pairs]


def _json_value(tag: str, value: Any) -> Any:
    ttype = _TYPES[tag]
    if ttype == TType.STRUCT:
        return _json_struct(value)
    if ttype in (TType.LIST, TType.SET):
        inner, _, *values = value
        return _Elements(_TYPES[inner], [_json_value(inner, each) for each in values])
    if ttype == TType.MAP:
        key, inner, _, pairs = value
        return _Elements(_TYPES[key], []), _Elements(_TYPES[inner], [_json_value(inner, each) for _, each in pairs])
    return None


# -- comparing


def _unknown(fields: list[_Field], struct_class: type, peer: str) -> Iterator[str]:
    known = _known(struct_class)
    for field in fields:
        if field.number not in known.fields and field.number > 0:
            yield f"{peer} has sent field {field.number} of {struct_class.__name__}, which this stub does not know"


def _compared(fields: list[_Field], struct_class: type, peer: str) -> Iterator[str]:
    known = _known(struct_class)
    sent = {field.number for field in fields}
    for number in known.required:
        if number not in sent:
            yield f"{peer} has sent no {_described(number, struct_class)}, which is required"
    for field in fields:
        number = field.number
        if number not in known.fields:
            continue
        _, ttype, _, details, _ = known.fields[number]
        what = _described(number, struct_class)
        if field.ttype != ttype:
            yield f"{peer} has sent {_type_name(field.ttype)} as {what}, which is {_type_name(ttype)} in this stub"
        else:
            yield from _compared_values(ttype, details, field.value, what, peer)


def _described(number: int, struct_class: type) -> str:
    name = _known(struct_class).fields[number][2]
    return f"{name!r} (field {number} of {struct_class.__name__})"


def _compared_values(ttype: int, details: Any, value: Any, what: str, peer: str) -> Iterator[str]:
    if ttype == TType.STRUCT:
        yield from _compared(value, details[0], peer)
    elif ttype in (TType.LIST, TType.SET):
        yield from _compared_elements(details[0], details[1], value, f"an element of {what}", peer)
    elif ttype == TType.MAP:
        keys, values = value
        yield from _compared_elements(details[0], details[1], keys, f"a key of {what}", peer)
        yield from _compared_elements(details[2], details[3], values, f"a value of {what}", peer)


def _compared_elements(ttype: int, details: Any, elements: _Elements, what: str, peer: str) -> Iterator[str]:
    if not elements.values:
        return
    if elements.ttype != ttype:
        yield f"{peer} has sent {_type_name(elements.ttype)} as {what}, which is {_type_name(ttype)} in this stub"
        return
    for value in elements.values[:MOST_COMPARED]:
        yield from _compared_values(ttype, details, value, what, peer)


def _type_name(ttype: int) -> str:
    return TYPE_NAMES.get(ttype, f"type {ttype}")


@attrs.frozen
class _Known:
    """A struct of the stub.

    :ivar fields: by number, as :func:`~rpc.generated_classes.fields_of` returns them.
    :ivar required: the numbers of the fields that a peer must send.
    """

    fields: dict[int, tuple[Any, ...]]
    required: tuple[int, ...]


@lru_cache(1024)  # a message may have thousands of structs of one class
def _known(struct_class: type) -> _Known:
    fields = {field[0]: field for field in fields_of(struct_class)}
    required = [
        number
        for number, (_, _, name, _, default) in fields.items()
        if default is None and _is_required(struct_class, name)
    ]
    return _Known(fields, tuple(required))


def _is_required(struct_class: type, name: str) -> bool:
    """Return whether a struct whose other fields are set is refused by its generated ``validate``."""
    value = struct_class(**{field[2]: None if field[2] == name else _SET for field in fields_of(struct_class)})
    try:
        struct_class.validate(value)  # type: ignore[attr-defined]  # of the class: a field may have its name
    except Exception:
        return True
    return False
