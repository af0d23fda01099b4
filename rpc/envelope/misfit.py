"""Names the value inside a struct that does not fit its type. Only used when a message was not encoded.

Thrift's encoders do not tell where the value is. This walks over the struct's values, and asks the writer of JSON about
each value of a base type: a value fits its type in all protocols or in none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thrift.protocol.TProtocol import TProtocolException
from thrift.Thrift import TType

from rpc.envelope.json_writer import text_of
from rpc.envelope.limits import NESTING_LIMIT
from rpc.generated_classes import TYPE_NAMES, fields_of
from rpc.validity import own_check

LONGEST_KEY = 40
"""Characters of a key that are shown."""


class _Misfit(Exception):
    """A value does not fit.

    :ivar path: where it is, from the value that is being looked at.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.path = ""


def misfit(struct_class: type, struct: Any) -> tuple[str, str] | None:
    """Return the path of the first value that does not fit, such as ``order.lines[2].price``, and the reason.

    :param struct: an instance of the generated class, or an object with the attributes of its fields.
    :return: ``None`` when each value fits. The struct is too deep then, or a map with such keys has no form in JSON.
    """
    try:
        _look_into(struct_class, struct, 0)
    except _Misfit as found:
        return found.path.removeprefix("."), str(found)
    return None


def _look(ttype: int, details: Any, value: Any, depth: int) -> None:
    """Raise :class:`_Misfit` when the value, or one inside it, does not fit."""
    try:
        if ttype == TType.STRUCT:
            _look_into(details[0], value, depth)
        elif ttype == TType.LIST:
            len(value)  # an iterator has none
            _look_at_each(enumerate(value), details[0], details[1], depth)
        elif ttype == TType.SET:
            len(value)
            _look_at_each(((each, each) for each in value), details[0], details[1], depth)
        elif ttype == TType.MAP:
            if not isinstance(value, dict):
                raise TypeError(f"expected dict, {type(value).__name__} found")
            _look_at_each(((key, key) for key in value), details[0], details[1], depth)
            _look_at_each(value.items(), details[2], details[3], depth)
        else:
            text = text_of(ttype, details)
            assert text is not None
            text(value).encode()  # a lone surrogate is no UTF-8
    except _Misfit:
        raise
    except Exception as error:  # of the encoder; or of the value, whose class may be a user's own
        raise _Misfit(_reason(ttype, details, value, error)) from error


def _look_into(struct_class: type, struct: Any, depth: int) -> None:
    if depth >= NESTING_LIMIT:
        return
    for _, ttype, name, details, *_ in fields_of(struct_class):
        value = getattr(struct, name)
        if value is not None:
            try:
                _look(ttype, details, value, depth + 1)
            except _Misfit as found:
                found.path = f".{name}{found.path}"
                raise
    check = own_check(struct_class)
    if check is not None:
        try:
            check(struct)
        except TProtocolException as error:
            raise _Misfit(str(error.message)) from error


def _look_at_each(found: Iterable[tuple[Any, Any]], ttype: int, details: Any, depth: int) -> None:
    """Look at elements, each with its number or its key."""
    for key, value in found:
        try:
            _look(ttype, details, value, depth)
        except _Misfit as misfit:
            misfit.path = f"[{_shown(key)}]{misfit.path}"
            raise


def _shown(key: Any) -> str:
    """Return a number or a text; of other elements and keys their type, because they may be long."""
    return repr(key)[:LONGEST_KEY] if type(key) in (int, str, bytes) else type(key).__name__


def _reason(ttype: int, details: Any, value: Any, error: Exception) -> str:
    kind, got = _type_name(ttype, details), type(value).__name__
    expected = f"this {kind} does not fit" if kind == got else f"{kind} expected, got {got}"
    return f"{expected} ({type(error).__name__}: {error})"


def _type_name(ttype: int, details: Any) -> str:
    """Return a type of a ``thrift_spec``, as the IDL writes it."""
    if ttype == TType.STRUCT:
        return str(details[0].__name__)
    return "binary" if details == "BINARY" else TYPE_NAMES[ttype]
