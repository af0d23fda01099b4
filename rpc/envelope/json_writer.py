"""Values as Thrift's JSON: one walk over the specification of their struct, which gives pieces of text.

The types are those of Thrift's C extension for the binary protocol, so a value fits all protocols or none. The text is
that of Thrift's ``TJSONProtocol``, except where this is not JSON, or not Thrift's: control characters are escaped,
and ``inf`` and ``nan`` have Thrift's names.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from json.encoder import encode_basestring
from math import isfinite, isnan
from operator import index
from typing import Any
from uuid import UUID

from thrift.Thrift import TType

from rpc.envelope.described_fields import described_fields
from rpc.envelope.json_types import BITS, INFINITY, MINUS_INFINITY, NAN, TAGS
from rpc.envelope.limits import NESTING_LIMIT
from rpc.generated_classes import INNER

Text = Callable[[Any], str]
"""Returns a value of a base type as text."""

Write = Callable[[Any, list[str], int], None]
"""Appends the text of a struct or container, in pieces. Joined at each level, deep values would cost quadratic time.
The number is that of the structs around it.
"""

_structs: dict[type, Write] = {}
"""The writers of structs, each made once."""

quote: Text = encode_basestring
"""Returns text as a JSON string. It is Python's compiled function: only ASCII control characters, quotation marks and
backslashes are escaped.
"""


def struct_writer(struct_class: type) -> Write:
    """Return the writer of a generated struct.

    The writer raises an error of any class when a value does not fit its type.
    """
    known = _structs.get(struct_class)
    if known is not None:
        return known
    fields: list[tuple[str, str, Text | None, Write | None]] = []
    described = described_fields(struct_class)

    def write(struct: Any, out: list[str], depth: int) -> None:
        depth += 1
        if depth > NESTING_LIMIT:
            raise RecursionError(f"more than {NESTING_LIMIT} structs are in one another")
        begin = len(out)
        for name, head, text, write_field in fields:
            value = getattr(struct, name)
            if value is None:
                continue
            if text is not None:
                out.append(f"{head}{text(value)}}}")
            else:
                out.append(head)
                write_field(value, out, depth)  # type: ignore[misc]  # a field has the one or the other
                out.append("}")
        if len(out) == begin:
            out.append("{}")
        else:
            out[begin] = "{" + out[begin][1:]  # each head begins with a comma
            out.append("}")

    _structs[struct_class] = write  # before its fields are known: a struct may contain itself
    try:
        for number, ttype, name, details, *_ in described:
            head = f',"{number}":{{"{TAGS.get(ttype)}":'
            fields.append((name, head, text_of(ttype, details), _writer_of(ttype, details)))
    except BaseException:
        del _structs[struct_class]  # otherwise the next use would write a part of the fields
        raise
    return write


def text_of(ttype: int, details: Any) -> Text | None:
    """Return the function for a base type; ``None`` for structs and containers."""
    if ttype in INNER:
        return None
    if ttype in BITS:
        return _integer(BITS[ttype])
    if ttype == TType.STRING:
        return _binary if details == "BINARY" else _string
    text: Text = _TEXTS.get(ttype, _unknown)
    return text


def _writer_of(ttype: int, details: Any) -> Write | None:
    """Return the function for a struct or container; ``None`` for base types."""
    if ttype == TType.STRUCT:
        return struct_writer(details[0])
    if ttype in (TType.LIST, TType.SET):
        return _elements(details[0], details[1])
    if ttype == TType.MAP:
        return _map(*details[:4])
    return None


# -- base types


def _integer(bits: int) -> Text:
    least, most = -(1 << bits - 1), (1 << bits - 1) - 1

    def text(value: Any) -> str:
        number = index(value)
        if not least <= number <= most:
            raise OverflowError(f"i{bits} requires {least} <= number <= {most}")
        return int.__repr__(number)  # a subclass of int, such as an enum, may have another text

    return text


def _bool(value: Any) -> str:
    return "1" if value else "0"


def _double(value: Any) -> str:
    if isfinite(value):  # refuses a value that is no number
        return f"{float(value):.17g}"
    return f'"{NAN if isnan(value) else INFINITY if value > 0 else MINUS_INFINITY}"'


def _string(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bytes):
        return quote(value.decode())
    raise TypeError(f"expected str, {type(value).__name__} found")


def _binary(value: Any) -> str:
    if isinstance(value, str):
        value = value.encode()
    elif not isinstance(value, bytes):
        raise TypeError(f"expected bytes, {type(value).__name__} found")
    return f'"{b2a_base64(value, newline=False).decode()}"'


def _uuid(value: Any) -> str:
    return f'"{UUID(bytes=value.bytes)}"'


def _unknown(value: Any) -> str:
    raise TypeError("the field has a type that JSON does not know")


_TEXTS: dict[int, Text] = {TType.BOOL: _bool, TType.DOUBLE: _double, TType.UUID: _uuid}


# -- containers


def _elements(ttype: int, details: Any) -> Write:
    head, text, write = f'["{TAGS.get(ttype)}",', text_of(ttype, details), _writer_of(ttype, details)

    def write_texts(values: Any, out: list[str], depth: int) -> None:
        texts = [head + str(len(values))]
        texts += map(text, values)  # type: ignore[arg-type]  # not used for structs and containers
        out.append(",".join(texts))
        out.append("]")

    def write_each(values: Any, out: list[str], depth: int) -> None:
        out.append(head + str(len(values)))
        for value in values:
            out.append(",")
            write(value, out, depth)  # type: ignore[misc]  # not used for base types
        out.append("]")

    return write_each if text is None else write_texts


def _map(key_type: int, key_details: Any, value_type: int, value_details: Any) -> Write:
    head = f'["{TAGS.get(key_type)}","{TAGS.get(value_type)}",'
    key_text = _key(key_type, key_details)
    text, write = text_of(value_type, value_details), _writer_of(value_type, value_details)

    def write_map(values: Any, out: list[str], depth: int) -> None:
        if not isinstance(values, dict):
            raise TypeError(f"expected dict, {type(values).__name__} found")
        out.append(f"{head}{len(values)},{{")
        separator = ""
        for key, value in values.items():
            if text is not None:
                out.append(f"{separator}{key_text(key)}:{text(value)}")
            else:
                out.append(f"{separator}{key_text(key)}:")
                write(value, out, depth)  # type: ignore[misc]  # a type has the one or the other
            separator = ","
        out.append("}]")

    return write_map


def _key(ttype: int, details: Any) -> Text:
    """Return the function for keys, which are strings in JSON (``TJSONProtocol.h``, point 7).

    Thrift's Python writes structs and containers as keys, which is not JSON.
    """
    text = text_of(ttype, details)
    if text is None:
        return _no_key

    def key_text(value: Any) -> str:
        written = text(value)
        return written if written[0] == '"' else f'"{written}"'

    return key_text


def _no_key(value: Any) -> str:
    raise TypeError(f"a map with keys of type {type(value).__name__} has no form in JSON, whose keys are strings")
