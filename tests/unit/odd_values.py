"""Values of other Python types than the IDL's, for tests of the values that Thrift takes."""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Any


class Colour(enum.IntEnum):
    """A Python enum; the IDL's enums are plain numbers."""

    RED = 1


class Text(str):
    """Text of a subclass of str."""

    __slots__ = ()


class Truth:
    """True, and no bool, as ``numpy.bool_(True)`` is."""

    def __bool__(self) -> bool:
        return True


ODD_VALUES: dict[str, tuple[Any, ...]] = {
    "flag": (1, 0, 2, "", "x", [], Truth()),
    "small": (True, 127, 128, -129, 200),
    "number": (True, Colour.RED, 1.0, "1", 2**31, -(2**31) - 1, 2**70),
    "long_": (True, 2**63, 1.5),
    "real": (1, True, 2**60 + 1, 2**2000, "1.5"),
    "text": (Text("x"), b"bytes", bytearray(b"x"), "\ud800", 1),
    "data": ("text", "é", Text("x"), bytearray(b"x"), 1),
    "colour": (Colour.RED, "RED", 77),
    "strings": (("a", "b"), {"a": 1}, "abc", [None], [1], [b"x"], 1),
    "numbers": ([2, 1, 1], frozenset([1]), (True, 2), range(3), {1: 2}, {None}),
    "blobs": ({"a": "text"}, {b"a": b"b"}, {"a": None}, [("a", b"b")], MappingProxyType({"a": b"b"})),
}
"""By method of one argument: values of other types than the IDL's. Thrift takes some of them."""
