"""Refuses IDL names that the Thrift compiler accepts and that make broken stubs.

``--gen py:twisted`` uses names of its own beside the IDL's: ``self`` in each method, ``Client`` in each service
module. So do the ``.pyi`` files. An IDL name that equals one of them would cause a wrong value or an AttributeError at
the first call. It is refused here, by file, line and name.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from typing import Any, Final

from rpc.compiler.name_rules import (
    STRUCT_ATTRIBUTES,
    clashes,
    name_in,
    never,
    not_global,
    refuse,
    taken_by_stubs,
)
from rpc.compiler.source import Source
from rpc.compiler.struct_names import check_structs
from rpc.errors import CompileError

_LOCALS: Final = frozenset({"self", "TMessageType"})
"""Variables of the client's methods that are set before the arguments are copied, and are not repaired."""

_THROWS: Final = frozenset(
    {"self", "seqid", "oprot", "result", "msg_type", "TMessageType", "TTransport", "TApplicationException", "logging"}
)
"""Variables of the processor's methods, beside the exception that they caught under the name in ``throws``."""

_METHODS: Final = frozenset(
    {"_transport", "_oprot_factory", "_seqid", "_reqs", "_stub", "_caller", "_caller_to", "_options"}
)
"""Attributes of the generated client, or of the framework's."""

_MEMBERS: Final = frozenset({"_VALUES_TO_NAMES", "_NAMES_TO_VALUES"})
"""Names in the class of every enum."""

_MODULES: Final = frozenset({"ttypes", "constants"})
"""The modules beside a service's."""


def check(source: Source, package: str, definitions: dict[str, dict[str, Any]]) -> None:
    """Check all names of one file.

    :param package: the Python package of its stubs, below the output's root.
    :param definitions: as :meth:`rpc.compiler.idl_xml.Programs.definitions` returns them.
    :raises CompileError: some names are refused; the message has a line for each.
    """
    refusals = [
        *_packages(source, package),
        *check_structs(source, package, definitions),
        *_enums(source, definitions["enums"]),
        *_constants(source, definitions),
        *_services(source, definitions["services"]),
    ]
    if refusals:
        raise CompileError("\n".join(refusals))


def _packages(source: Source, package: str) -> Iterator[str]:
    parts = package.split(".")
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part) or part in _MODULES.intersection(parts[1:]):
            place = source.locate("namespace", part)
            yield f"{place}: {part} cannot be the name of this Python package; write another: namespace py <name>"


def _enums(source: Source, enums: dict[str, Any]) -> Iterator[str]:
    for key, enum in enums.items():
        name = name_in(key)
        why = not_global(name)
        if why:
            yield refuse(source, "enum", name, why)
        siblings = {member["name"] for member in enum["members"]}
        for member in enum["members"]:
            why = never(member["name"]) or clashes(member["name"], siblings) or taken_by_stubs(member["name"], _MEMBERS)
            if why:
                yield refuse(source, "member", member["name"], why, f"enum {name}")


def _constants(source: Source, definitions: dict[str, dict[str, Any]]) -> Iterator[str]:
    for key in definitions["constants"]:
        name = name_in(key)
        why = not_global(name)
        if not why and (key in definitions["structs"] or key in definitions["enums"]):
            why = "a type has this name, and the module of the constants has both"
        if why:
            place = source.locate("const", f"{name} =")
            yield f"{place}: const {name}: {why}; rename it"


def _services(source: Source, services: dict[str, Any]) -> Iterator[str]:
    for key, service in services.items():
        name = name_in(key)
        if name in _MODULES or keyword.iskeyword(name):
            yield refuse(source, "service", name, "its module cannot have this name")
        siblings = {method["name"] for method in service["methods"]}
        for method in service["methods"]:
            yield from _method(source, f"service {name}", method["name"], siblings)
            yield from _arguments(source, f"service {name}", method)
            yield from _throws(source, f"service {name}", method)


def _method(source: Source, scope: str, name: str, siblings: set[str]) -> Iterator[str]:
    why = never(name) or clashes(name, siblings)
    if not why and name in _METHODS:
        why = "the stub's client uses this name itself"
    if why:
        yield refuse(source, "method", name, why, scope)
    for prefix in ("send_", "recv_", "cb_send_", "eb_send_"):
        other = name.removeprefix(prefix)
        if name.startswith(prefix) and other in siblings:
            yield refuse(source, "method", name, f"the stub's client has it for {other}", scope)


def _arguments(source: Source, scope: str, method: dict[str, Any]) -> Iterator[str]:
    taken = _LOCALS | STRUCT_ATTRIBUTES | {f"{method['name']}_args"}
    yield from _variables(source, "argument", method["arguments"], taken, scope, f"{method['name']} (")


def _throws(source: Source, scope: str, method: dict[str, Any]) -> Iterator[str]:
    caught = {name_in(error["type"]["struct"]) for error in method["throws"]}
    taken = _THROWS | STRUCT_ATTRIBUTES | caught | {"success"}
    yield from _variables(source, "exception", method["throws"], taken, scope, f"{method['name']} (", "throws")


def _variables(
    source: Source, noun: str, fields: list[dict[str, Any]], taken: frozenset[str], *scope: str
) -> Iterator[str]:
    siblings = {field["name"] for field in fields}
    for field in fields:
        why = never(field["name"]) or clashes(field["name"], siblings) or taken_by_stubs(field["name"], taken)
        if why:
            yield refuse(source, noun, field["name"], why, *scope)
