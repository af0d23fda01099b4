"""Text in binary and compact messages: Thrift's C extension replaces invalid UTF-8, and sends any bytes as text.

One rule holds for all protocols: invalid UTF-8 is refused. Values are only searched when the message has a byte
that is not ASCII.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from thrift.Thrift import TType

from rpc.struct_checks import Check, CheckAll, StructChecks

REPLACEMENT = "\ufffd"
"""U+FFFD, which the extension's decoder puts in the place of invalid UTF-8. A peer may also have sent it."""


class ReplacementFound(Exception):
    """A text contains U+FFFD."""


def _find_replacement(texts: Iterable[str | None]) -> None:
    for text in texts:
        if text is not None and REPLACEMENT in text:
            raise ReplacementFound


def _decode(texts: Iterable[Any]) -> None:
    for text in texts:
        if type(text) is not str and isinstance(text, bytes):
            text.decode()


def _only_for_text(check: CheckAll) -> StructChecks:
    return StructChecks(of_base=lambda ttype, details: check if _is_text(ttype, details) else None)


def _is_text(ttype: int, details: Any) -> bool:
    return bool(ttype == TType.STRING and details != "BINARY")


_searches = _only_for_text(_find_replacement)
_decodings = _only_for_text(_decode)


def replacement_search(struct_class: type) -> Check | None:
    """Return a function that raises :class:`ReplacementFound` for a value with U+FFFD; ``None`` for no text."""
    return _searches.check_of(struct_class)


def bytes_check(struct_class: type) -> Check | None:
    """Return a function that raises ``UnicodeDecodeError`` for a value in which bytes that are not UTF-8 stand for a
    text; ``None`` for a type without text.
    """
    return _decodings.check_of(struct_class)


@cache
def specification_in_bytes(struct_class: type) -> tuple[Any, ...]:
    """Return the specification of a struct with ``binary`` for each ``string``, so that text is not decoded."""
    return _in_bytes(struct_class, {})


def _in_bytes(struct_class: Any, made: dict[type, list[Any]]) -> tuple[Any, ...]:
    def details_of(ttype: int, details: Any) -> Any:
        if ttype == TType.STRING:
            return "BINARY"
        if ttype == TType.STRUCT:
            return struct_of(details[0])
        if ttype in (TType.LIST, TType.SET):
            return (details[0], details_of(details[0], details[1]), details[2])
        if ttype == TType.MAP:
            key, value = details_of(details[0], details[1]), details_of(details[2], details[3])
            return (details[0], key, details[2], value, details[4])
        return details

    def struct_of(inner: type) -> list[Any]:
        if inner not in made:
            made[inner] = [inner, None]  # before its fields: a struct may contain itself
            made[inner][1] = _in_bytes(inner, made)
        return made[inner]

    return tuple(
        field and (*field[:3], details_of(field[1], field[3]), *field[4:]) for field in struct_class.thrift_spec
    )
