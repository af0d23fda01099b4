"""Shared by writing and reading Thrift's JSON: the names of its types, and its special doubles."""

from __future__ import annotations

from typing import Final

from thrift.Thrift import TType

TAGS: Final[dict[int, str]] = {
    TType.BOOL: "tf",
    TType.BYTE: "i8",
    TType.I16: "i16",
    TType.I32: "i32",
    TType.I64: "i64",
    TType.DOUBLE: "dbl",
    TType.STRING: "str",
    TType.UUID: "uid",
    TType.STRUCT: "rec",
    TType.LIST: "lst",
    TType.SET: "set",
    TType.MAP: "map",
}
"""The names of Thrift's types in its JSON (``TJSONProtocol.h`` of Thrift's C++ library)."""

BITS: Final[dict[int, int]] = {TType.BYTE: 8, TType.I16: 16, TType.I32: 32, TType.I64: 64}
"""The sizes of Thrift's integers."""

NAN, INFINITY, MINUS_INFINITY = "NaN", "Infinity", "-Infinity"
"""The doubles that JSON has no number for, as Thrift writes them (``TJSONProtocol.h``, point 2)."""
