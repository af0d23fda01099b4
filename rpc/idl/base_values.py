"""The base types of Thrift (its specification, "Base Types") as JSON: the values of each, in words and in code."""

from __future__ import annotations

import base64
import math
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs


@attrs.frozen
class BaseValues:
    """The JSON values of one base type.

    :ivar expected: in words, for errors.
    :ivar convert: returns the value that the stubs take; raises ``ValueError`` or ``OverflowError`` for other JSON.
    """

    expected: str
    convert: Callable[[object], Any]


def double_to_json(value: float) -> float | str:
    """Return a double as JSON: JSON has no number for infinities and NaN, so they are text."""
    return value if math.isfinite(value) else _NOT_FINITE_TEXT.get(value, "NaN")


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _integer(bits: int, value: object) -> int:
    if type(value) is not int or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueError
    return value


def _double(value: object) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    return float(value)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    value.encode()  # JSON can escape half a surrogate pair, which is no Unicode text
    return value


def _binary(value: object) -> bytes:
    return base64.b64decode(_string(value), validate=True)


def _uuid(value: object) -> uuid.UUID:
    return uuid.UUID(_string(value))


def _integers(bits: int) -> BaseValues:
    return BaseValues(f"a whole number from {-(2 ** (bits - 1))} to {2 ** (bits - 1) - 1}", partial(_integer, bits))


_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NOT_FINITE_TEXT: Final = {number: text for text, number in _NOT_FINITE.items()}

BASE_VALUES: Final = {
    "bool": BaseValues("true or false", _bool),
    "i8": _integers(8),
    "i16": _integers(16),
    "i32": _integers(32),
    "i64": _integers(64),
    "double": BaseValues('a number, "NaN", "Infinity" or "-Infinity"', _double),
    "string": BaseValues("text", _string),
    "binary": BaseValues("base64 text", _binary),
    "uuid": BaseValues("text such as 12345678-1234-5678-1234-567812345678", _uuid),
}
"""By the type's name in the IDL."""
