"""What writing and reading Thrift's JSON have in common: the names of its types, and its special doubles."""

from __future__ import annotations

from typing import Any, Final

from thrift.Thrift import TApplicationException, TType

from rpc.errors import MalformedMessage

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

_APPLICATION_EXCEPTION: Final = (
    None,
    (1, TType.STRING, "message", "UTF8", None),
    (2, TType.I32, "type", None, None),
)


def fields_of(struct_class: type) -> list[tuple[Any, ...]]:
    """Return the fields of a struct: number, ``TType``, name, details of the type, default.

    :raises MalformedMessage: the class has no description of them.
    """
    if issubclass(struct_class, TApplicationException):  # the one struct that no compiler made
        specification: Any = _APPLICATION_EXCEPTION
    else:
        specification = getattr(struct_class, "thrift_spec", None)
    if specification is None:
        raise MalformedMessage(f"{struct_class.__name__} has no thrift_spec: it was not made by Thrift's compiler")
    return [field for field in specification if field is not None]
