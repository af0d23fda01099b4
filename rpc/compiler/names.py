"""Refuses IDL names that the Thrift compiler accepts and that make broken stubs.

``--gen py:twisted`` uses names of its own beside the IDL's: ``seqid`` in each client method, ``Client`` in each service
module. So do the ``.pyi`` files. An IDL name that equals one of them would cause a wrong value or an AttributeError at
the first call. It is refused here, by file, line and name.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from typing import Any, Final

from rpc.compiler.source import Source
from rpc.errors import CompileError

_LOCALS: Final = frozenset({"self", "seqid", "args", "oprot", "defer", "TMessageType"})
"""Variables of the client's methods that are set before the arguments are copied."""

_THROWS: Final = frozenset(
    {"self", "seqid", "oprot", "result", "msg_type", "TMessageType", "TTransport", "TApplicationException", "logging"}
)
"""Variables of the processor's methods, beside the exception that they caught under the name in ``throws``."""

_FIELDS: Final = frozenset({"self", "read", "write", "validate", "thrift_spec"})
"""Names in the class of every struct."""

_EXCEPTION_FIELDS: Final = frozenset({"args", "with_traceback", "add_note"})
"""Names in Python's exceptions."""

_METHODS: Final = frozenset({"_transport", "_oprot_factory", "_seqid", "_reqs", "_stub", "_options"})
"""Attributes of the generated client, or of the framework's."""

_MEMBERS: Final = frozenset({"_VALUES_TO_NAMES", "_NAMES_TO_VALUES"})
"""Names in the class of every enum."""

_MODULES: Final = frozenset({"ttypes", "constants"})
"""The modules beside a service's."""

# fmt: off
_GLOBALS: Final = frozenset({
    "Client", "Iface", "Processor", "Interface", "TApplicationException", "TException", "TFrozenDict",
    "TMessageType", "TProcessor", "TProtocolException", "TTransport", "TTwisted", "TType", "all_structs",
    "defer", "fix_spec", "implementer", "logging", "sys", "Exception", "TypeError", "classmethod", "float", "hash",
    "isinstance", "len", "object", "range", "repr", "set", "super",
})
# fmt: on
"""Names that the generated modules import or take from Python, or define for every service."""

_TYPE_FILES: Final = frozenset(
    {"_Any", "_Callable", "_ClassVar", "_Coroutine", "_Deferred", "_Final", "_Interface", "_UUID", "_builtins"}
    | {"_implementer"}
)
"""Names that the ``.pyi`` files import; names of modules begin with ``_idl_`` there."""

_STUB_USES: Final = "the stubs use this name themselves"


def check(source: Source, package: str, definitions: dict[str, dict[str, Any]]) -> None:
    """Check all names of one file.

    :param package: the Python package of its stubs, below the output's root.
    :param definitions: as :meth:`rpc.compiler.idl_xml.Programs.definitions` returns them.
    :raises CompileError: some names are refused; the message has a line for each.
    """
    refusals = [
        *_packages(source, package),
        *_structs(source, definitions),
        *_enums(source, definitions["enums"]),
        *_constants(source, definitions),
        *_services(source, definitions["services"]),
    ]
    if refusals:
        raise CompileError("\n".join(refusals))


def _refuse(source: Source, noun: str, name: str, why: str, *scope: str) -> str:
    """Return a refusal. A name without a scope is found by its keyword: ``struct Work``."""
    place = source.locate(*scope, name) if scope else source.locate(f"{noun} {name}")
    return f"{place}: {noun} {name}: {why}; rename it"


def _packages(source: Source, package: str) -> Iterator[str]:
    parts = package.split(".")
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part) or part in _MODULES.intersection(parts[1:]):
            place = source.locate("namespace", part)
            yield f"{place}: {part} cannot be the name of this Python package; write another: namespace py <name>"


def _never(name: str) -> str:
    """Return why no class of a stub can have the name; empty if it can."""
    if _is_keyword(name):
        return "it is a Python keyword"
    if name.startswith("__"):
        return "Python changes a name that begins with __ inside of a class"
    return _taken(name, _TYPE_FILES)


def _is_keyword(name: str) -> bool:
    return keyword.iskeyword(name) or name == "__debug__"


def _taken(name: str, names: frozenset[str]) -> str:
    return _STUB_USES if name in names or name.startswith("_idl_") else ""


def _global(name: str) -> str:
    """Return why no stub can have a type or constant of this name; empty if it can."""
    return "it is a Python keyword" if _is_keyword(name) else _taken(name, _GLOBALS | _TYPE_FILES)


def _structs(source: Source, definitions: dict[str, dict[str, Any]]) -> Iterator[str]:
    helpers = {
        f"{method['name']}_{suffix}": method["name"]
        for service in definitions["services"].values()
        for method in service["methods"]
        for suffix in ("args", "result")
    }
    for key, struct in definitions["structs"].items():
        name = _name(key)
        why = _global(name)
        if not why and name in helpers:
            why = f"the stub's class for {helpers[name]} has this name"
        if not why and name.startswith("_"):
            why = "services would not find a name that begins with _"
        if why:
            yield _refuse(source, struct["kind"], name, why)
        yield from _fields(source, struct, name)


def _fields(source: Source, struct: dict[str, Any], owner: str) -> Iterator[str]:
    for field in struct["fields"]:
        name = field["name"]
        why = _never(name)
        if not why and name in _FIELDS:
            why = "the stub's class uses this name itself"
        if not why and struct["kind"] == "exception" and name in _EXCEPTION_FIELDS:
            why = "Python's exceptions use this name themselves"
        if why:
            yield _refuse(source, "field", name, why, f"{struct['kind']} {owner}")


def _enums(source: Source, enums: dict[str, Any]) -> Iterator[str]:
    for key, enum in enums.items():
        name = _name(key)
        why = _global(name)
        if why:
            yield _refuse(source, "enum", name, why)
        for member in enum["members"]:
            why = _never(member["name"]) or _taken(member["name"], _MEMBERS)
            if why:
                yield _refuse(source, "member", member["name"], why, f"enum {name}")


def _constants(source: Source, definitions: dict[str, dict[str, Any]]) -> Iterator[str]:
    for key in definitions["constants"]:
        name = _name(key)
        why = _global(name)
        if not why and (key in definitions["structs"] or key in definitions["enums"]):
            why = "a type has this name, and the module of the constants has both"
        if why:
            place = source.locate("const", f"{name} =")
            yield f"{place}: const {name}: {why}; rename it"


def _services(source: Source, services: dict[str, Any]) -> Iterator[str]:
    for key, service in services.items():
        name = _name(key)
        if name in _MODULES or _is_keyword(name):
            yield _refuse(source, "service", name, "its module cannot have this name")
        siblings = {method["name"] for method in service["methods"]}
        for method in service["methods"]:
            yield from _method(source, f"service {name}", method["name"], siblings)
            yield from _arguments(source, f"service {name}", method)
            yield from _throws(source, f"service {name}", method)


def _method(source: Source, scope: str, name: str, siblings: set[str]) -> Iterator[str]:
    why = _never(name)
    if not why and name in _METHODS:
        why = "the stub's client uses this name itself"
    if why:
        yield _refuse(source, "method", name, why, scope)
    for prefix in ("send_", "recv_", "cb_send_", "eb_send_"):
        other = name.removeprefix(prefix)
        if name.startswith(prefix) and other in siblings:
            yield _refuse(source, "method", name, f"the stub's client has it for {other}", scope)


def _arguments(source: Source, scope: str, method: dict[str, Any]) -> Iterator[str]:
    taken = _LOCALS | _FIELDS | {f"{method['name']}_args"}
    yield from _variables(source, "argument", method["arguments"], taken, scope, f"{method['name']} (")


def _throws(source: Source, scope: str, method: dict[str, Any]) -> Iterator[str]:
    caught = {_name(error["type"]["struct"]) for error in method["throws"]}
    taken = _THROWS | _FIELDS | caught | {"success"}
    yield from _variables(source, "exception", method["throws"], taken, scope, f"{method['name']} (", "throws")


def _variables(
    source: Source, noun: str, fields: list[dict[str, Any]], taken: frozenset[str], *scope: str
) -> Iterator[str]:
    for field in fields:
        why = _never(field["name"]) or _taken(field["name"], taken)
        if why:
            yield _refuse(source, noun, field["name"], why, *scope)


def _name(key: str) -> str:
    """Return the name in a key of the definitions."""
    return key.rpartition(".")[2]
