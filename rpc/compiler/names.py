"""Refuses IDL names that the Thrift compiler accepts and that make stubs which do not work.

``--gen py:twisted`` uses names of its own beside the IDL's: ``seqid`` in each client method, ``Client`` in each service
module. One that is taken shows as a wrong value or an AttributeError at the first call, so it is refused here, by
file, line and name.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from typing import Any, Final

from rpc.compiler.sources import Source
from rpc.errors import CompileError

_LOCALS: Final = frozenset({"self", "seqid", "args", "oprot", "defer", "TMessageType"})
"""What the client's methods name before they copy the arguments."""

_THROWS: Final = frozenset(
    {"self", "seqid", "oprot", "result", "msg_type", "TMessageType", "TTransport", "TApplicationException", "logging"}
)
"""What the processor's methods use besides the exception that they caught under the name in ``throws``."""

_FIELDS: Final = frozenset({"self", "read", "write", "validate", "thrift_spec"})
"""What every struct's class has."""

_EXCEPTION_FIELDS: Final = frozenset({"args", "with_traceback", "add_note"})
"""What Python's exceptions have besides."""

_METHODS: Final = frozenset(
    {"_transport", "_oprot_factory", "_seqid", "_reqs", "_stub", "_caller", "_caller_to", "_options"}
)
"""What the generated client has, or the framework's."""

_MODULES: Final = frozenset({"ttypes", "constants"})
"""The modules beside a service's."""

# fmt: off
_GLOBALS: Final = frozenset({
    "Client", "Iface", "Processor", "Interface", "TApplicationException", "TException", "TFrozenDict",
    "TMessageType", "TProcessor", "TProtocolException", "TTransport", "TTwisted", "TType", "all_structs",
    "defer", "fix_spec", "implementer", "logging", "sys", "Exception", "TypeError", "float", "hash",
    "isinstance", "len", "object", "range", "repr", "set", "super",
})
# fmt: on
"""What the generated modules import or take from Python, or define for every service."""


def check(source: Source, package: str, definitions: dict[str, dict[str, Any]]) -> None:
    """Check all names of one file.

    :param package: the Python package of its stubs, below the output's root.
    :param definitions: as :meth:`rpc.compiler.idl_xml.Programs.definitions` gives them.
    :raises CompileError: says every name that is refused, a line each.
    """
    refusals = [*_packages(source, package), *_types(source, definitions), *_services(source, definitions)]
    if refusals:
        raise CompileError("\n".join(refusals))


def _refuse(source: Source, what: str, name: str, why: str, *scope: str) -> str:
    """Write a refusal. What stands in no scope is found by its keyword: ``struct Work``."""
    place = source.locate(*scope, name) if scope else source.locate(f"{what} {name}")
    return f"{place}: {what} {name}: {why}; rename it"


def _packages(source: Source, package: str) -> Iterator[str]:
    parts = package.split(".")
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part) or part in _MODULES.intersection(parts[1:]):
            place = source.locate("namespace", part)
            yield f"{place}: {part} cannot be the name of this Python package; write another: namespace py <name>"


def _keyword(name: str) -> bool:
    return keyword.iskeyword(name) or name == "__debug__"


def _types(source: Source, definitions: dict[str, dict[str, Any]]) -> Iterator[str]:
    helpers = {
        f"{method['name']}_{suffix}": method["name"]
        for service in definitions["services"].values()
        for method in service["methods"]
        for suffix in ("args", "result")
    }
    for section, noun in (("structs", ""), ("enums", "enum"), ("constants", "const")):
        for key, item in definitions[section].items():
            name = key.rpartition(".")[2]
            what = noun or item["kind"]
            if _keyword(name):
                yield _refuse(source, what, name, "it is a Python keyword")
            elif name in _GLOBALS:
                scope = ("const",) if section == "constants" else ()
                yield _refuse(source, what, name, "the stubs use this name themselves", *scope)
            elif section == "structs" and name in helpers:
                yield _refuse(source, what, name, f"the stub's class for {helpers[name]} has this name")
            elif section == "structs" and name.startswith("_"):
                yield _refuse(source, what, name, "services would not find a name that begins with _")
            if section == "structs":
                yield from _fields(source, item, name)
            elif section == "enums":
                for member in item["members"]:
                    if _keyword(member["name"]) or member["name"] in ("_VALUES_TO_NAMES", "_NAMES_TO_VALUES"):
                        yield _refuse(source, "member", member["name"], "the stub cannot have it", f"enum {name}")


def _fields(source: Source, struct: dict[str, Any], owner: str) -> Iterator[str]:
    for field in struct["fields"]:
        name = field["name"]
        scope = f"{struct['kind']} {owner}"
        if _keyword(name):
            yield _refuse(source, "field", name, "it is a Python keyword", scope)
        elif name in _FIELDS:
            yield _refuse(source, "field", name, "the stub's class uses this name itself", scope)
        elif struct["kind"] == "exception" and name in _EXCEPTION_FIELDS:
            yield _refuse(source, "field", name, "Python's exceptions use this name themselves", scope)


def _services(source: Source, definitions: dict[str, dict[str, Any]]) -> Iterator[str]:
    for key, service in definitions["services"].items():
        service_name = key.rpartition(".")[2]
        if service_name in _MODULES or _keyword(service_name):
            yield _refuse(source, "service", service_name, "its module cannot have this name")
        names = {method["name"] for method in service["methods"]}
        for method in service["methods"]:
            yield from _method(source, service_name, method, names)


def _method(source: Source, service: str, method: dict[str, Any], siblings: set[str]) -> Iterator[str]:
    name = method["name"]
    scope = f"service {service}"
    if _keyword(name):
        yield _refuse(source, "method", name, "it is a Python keyword", scope)
    elif name in _METHODS or (name.startswith("__") and name.endswith("__")):
        yield _refuse(source, "method", name, "the stub's client uses this name itself", scope)
    for prefix in ("send_", "recv_", "cb_send_", "eb_send_"):
        if name.startswith(prefix) and name.removeprefix(prefix) in siblings:
            other = name.removeprefix(prefix)
            yield _refuse(source, "method", name, f"the stub's client has it for {other}", scope)
    for argument in method["arguments"]:
        if argument["name"] in _LOCALS | _FIELDS | {f"{name}_args"} or _keyword(argument["name"]):
            yield _refuse(source, "argument", argument["name"], "the stub uses this name itself", scope, f"{name} (")
    caught = {error["type"]["struct"].rpartition(".")[2] for error in method["throws"]}
    for error in method["throws"]:
        if error["name"] in _THROWS | _FIELDS | caught | {"success"} or _keyword(error["name"]):
            why = "the stub uses this name itself"
            yield _refuse(source, "exception", error["name"], why, scope, f"{name} (", "throws")
