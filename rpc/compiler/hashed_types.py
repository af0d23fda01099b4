"""Which types of an IDL are in a set, or a key of a map: Python needs values there that can be hashed.

Types are as in ``idl.json``: ``"i32"``, ``{"list": …}``, ``{"map": […, …]}``, ``{"struct": "package.Name"}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

Definitions = dict[str, dict[str, Any]]
"""Definitions by section and key, as :meth:`rpc.compiler.idl_xml.Program.definitions` returns them."""


@attrs.frozen
class HashedTypes:
    """The hashed types of an IDL.

    :ivar structs: keys of the structs that are in a set, or a key of a map, somewhere.
    :ivar readers: keys of the structs with a list, set or map in such a place. The key of a struct of arguments or of
        a result is that of the service, a dot and its name.
    :ivar packages: the packages of the readers, and of constants of such types.
    """

    structs: frozenset[str]
    readers: frozenset[str]
    packages: frozenset[str]


def hashed_types(definitions: Definitions) -> HashedTypes:
    """Find the hashed types among all definitions of an output."""
    structs: set[str] = set()
    readers: set[str] = set()
    packages: set[str] = set()
    for owner, package, kind in _places(definitions):
        for part in _hashed_parts(kind):
            if isinstance(part, dict) and "struct" in part:
                structs.add(part["struct"])
            elif isinstance(part, dict) and "enum" not in part:
                readers.add(owner)
                packages.add(package)
    return HashedTypes(frozenset(structs), frozenset(readers), frozenset(packages))


def helper_structs(service: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the structs that the compiler makes for a service's methods: name, and fields with id, name and type."""
    for method in service["methods"]:
        name = method["name"]
        yield f"{name}_args", method["arguments"]
        if not method["oneway"]:
            success = [] if method["returns"] is None else [{"id": 0, "name": "success", "type": method["returns"]}]
            yield f"{name}_result", [*success, *method["throws"]]


def _places(definitions: Definitions) -> Iterator[tuple[str, str, Any]]:
    """Yield the owner, its package and the type of every field and constant."""
    for key, struct in definitions["structs"].items():
        for field in struct["fields"]:
            yield key, key.rpartition(".")[0], field["type"]
    for key, constant in definitions["constants"].items():
        yield key, key.rpartition(".")[0], constant["type"]
    for key, service in definitions["services"].items():
        for name, fields in helper_structs(service):
            for field in fields:
                yield f"{key}.{name}", key.rpartition(".")[0], field["type"]


def _hashed_parts(kind: Any, hashed: bool = False) -> Iterator[Any]:
    """Yield the types in a type whose values are hashed."""
    if hashed:
        yield kind
    if not isinstance(kind, dict):
        return
    ((constructor, content),) = kind.items()
    if constructor == "list":
        yield from _hashed_parts(content, hashed)
    elif constructor == "set":
        yield from _hashed_parts(content, True)
    elif constructor == "map":
        yield from _hashed_parts(content[0], True)
        yield from _hashed_parts(content[1], hashed)


def structs_in(kinds: Iterable[Any]) -> Iterator[str]:
    """Yield the keys of the structs in some types."""
    pending = list(kinds)
    while pending:
        kind = pending.pop()
        if isinstance(kind, dict):
            ((constructor, content),) = kind.items()
            if constructor == "struct":
                yield content
            elif constructor != "enum":
                pending += content if isinstance(content, list) else [content]
