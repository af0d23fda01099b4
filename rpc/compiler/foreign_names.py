"""Warns of names that are reserved words in other languages: programs there cannot use the IDL, or see other names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rpc.compiler.hashed_types import Definitions
from rpc.compiler.name_rules import name_in
from rpc.compiler.reserved_words import REFUSED_BY_THRIFT, RESERVED
from rpc.compiler.source import Source

_Found = tuple[str, str, tuple[str, ...]]
"""A noun, a name, and the phrases before it in the file."""


def languages(name: str) -> list[str]:
    """Return the languages in which a name is a reserved word, in alphabetical order."""
    return [language for language, words in RESERVED.items() if name in words]


def warnings(source: Source, definitions: Definitions) -> list[str]:
    """Return a warning for each such name of one file. A name that is used more than once has one warning."""
    found: dict[str, str] = {}
    for noun, name, scope in _names(definitions):
        where = languages(name)
        if name not in found and (where or name in REFUSED_BY_THRIFT):
            found[name] = f"{source.locate(*scope, name)}: {noun} {name}: {_reason(name, where)}; rename it"
    return list(found.values())


def _reason(name: str, where: list[str]) -> str:
    reserved = [f"a reserved word in {', '.join(where)}"] if where else []
    refused = ["refused by Thrift's compiler for most languages"] if name in REFUSED_BY_THRIFT else []
    return ", and ".join([*reserved, *refused])


def _names(definitions: Definitions) -> Iterator[_Found]:
    for key, struct in definitions["structs"].items():
        name = name_in(key)
        yield struct["kind"], name, (struct["kind"],)
        yield from _each("field", struct["fields"], struct["kind"], name)
    for key, enum in definitions["enums"].items():
        yield "enum", name_in(key), ("enum",)
        yield from _each("member", enum["members"], "enum", name_in(key))
    for key in definitions["constants"]:
        yield "const", name_in(key), ("const",)
    for key, service in definitions["services"].items():
        yield "service", name_in(key), ("service",)
        yield from _of_methods(service["methods"], "service", name_in(key))


def _of_methods(methods: Iterable[dict[str, Any]], *scope: str) -> Iterator[_Found]:
    for method in methods:
        yield "method", method["name"], scope
        inside = (*scope, f"{method['name']} (")
        yield from _each("argument", method["arguments"], *inside)
        yield from _each("exception", method["throws"], *inside, "throws")


def _each(noun: str, items: Iterable[dict[str, Any]], *scope: str) -> Iterator[_Found]:
    for item in items:
        yield noun, item["name"], scope
