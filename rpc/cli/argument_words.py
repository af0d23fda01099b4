"""The arguments of a call: words of the command line, one for each, or one JSON value with all of them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any, Final

from rpc import idl
from rpc.cli.json_text import Object, parse
from rpc.cli.values import SHOWN, Values, describe, is_text
from rpc.errors import InvalidRequest
from rpc.printable import printable

STANDARD_INPUT: Final = "-"
"""The word that stands for all arguments: they are read from standard input."""


def signature(method: idl.MethodDescription) -> str:
    """Return a method as the IDL writes it, without its exceptions. A peer's line breaks are escaped."""
    takes = ", ".join(f"{describe(field.type)} {field.name}" for field in method.arguments)
    gives = "oneway" if method.oneway else "void" if method.returns is None else describe(method.returns)
    return printable(f"{gives} {method.name}({takes})")


def read_arguments(values: Values, method: idl.MethodDescription, words: Sequence[str]) -> list[Any]:
    """Return the values of a method's arguments, in its order.

    :raises InvalidRequest: there are too many words or too few, or one does not fit its type.
    """
    if len(words) != len(method.arguments):
        raise _wrong_number(method, len(words))
    for field, text in zip(method.arguments, words, strict=True):
        _refuse_named(method, field, text)
    return [values.argument(field.type, text, field.name) for field, text in zip(method.arguments, words, strict=True)]


def _wrong_number(method: idl.MethodDescription, given: int) -> InvalidRequest:
    number = len(method.arguments)
    takes = "1 argument" if number == 1 else f"{number} arguments"
    return InvalidRequest(f"{signature(method)} takes {takes}, not {given}")


def read_json(values: Values, method: idl.MethodDescription, text: str) -> list[Any]:
    """Return the values of a method's arguments from JSON: an array in its order, or an object by their names.

    :raises InvalidRequest: the text is not such JSON, an argument is missing or unknown, or one does not fit its type.
    """
    try:
        given = parse(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"standard input is not JSON: {error}") from None
    if isinstance(given, Object):
        items = _by_name(method, given)
    elif isinstance(given, list):
        items = given
    else:
        raise InvalidRequest(f"standard input must be an array or object of the arguments of {signature(method)}")
    if len(items) != len(method.arguments):
        raise _wrong_number(method, len(items))
    try:
        return [
            values.from_json(field.type, item, field.name) for field, item in zip(method.arguments, items, strict=True)
        ]
    except RecursionError:
        raise InvalidRequest("standard input is nested too deeply") from None


def read_standard_input() -> str:
    """Return all of standard input.

    :raises InvalidRequest: it is closed, or is not UTF-8.
    """
    if sys.stdin is None:  # it was closed when the process started
        raise InvalidRequest("standard input is closed; it should have the arguments as JSON")
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"standard input is not UTF-8: {error}") from None


def _by_name(method: idl.MethodDescription, given: Object) -> list[Any]:
    names = [field.name for field in method.arguments]
    if given.repeated is not None:
        raise InvalidRequest(f"standard input has the argument {given.repeated[:SHOWN]!r} twice")
    for problem, found in (
        ("has no argument", [name for name in given if name not in names]),
        ("needs the argument", [name for name in names if name not in given]),
    ):
        if found:
            raise InvalidRequest(f"{signature(method)} {problem} {found[0][:SHOWN]!r}")
    return [given[name] for name in names]


def _refuse_named(method: idl.MethodDescription, argument: idl.Field, text: str) -> None:
    """Refuse a word that names an argument, as other programs have it: it would be sent as text where text fits.

    :raises InvalidRequest: the word is ``name=value``, or for text an object whose keys are all names of arguments.
    """
    names = {field.name for field in method.arguments}
    name, equals, _ = text.partition("=")
    if (equals and name in names) or (is_text(argument.type) and _is_object_of(names, text)):
        quoted = shlex.quote(json.dumps(text, ensure_ascii=False))
        raise InvalidRequest(
            f"{text[:SHOWN]}: arguments have no names here, only their order: {signature(method)}; if this text is "
            f"meant, write {quoted if len(text) <= SHOWN else 'it as JSON text'}"
        )


def _is_object_of(names: set[str], text: str) -> bool:
    try:
        found = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and bool(found) and found.keys() <= names
