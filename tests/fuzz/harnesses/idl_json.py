"""The file ``idl.json``, which describes compiled stubs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rpc.cli.values import describe
from rpc.errors import ConfigurationError
from rpc.idl import Interface
from rpc.idl.document import read
from rpc.reflection import Reflection
from rpc.stub import Stub

FILE = Path(__file__).parents[3] / "generated" / "idl.json"


def one(data: bytes) -> None:
    """Text is the description of an IDL whose types can be shown, and made into stubs, or a ValueError."""
    try:
        interface = read(data.decode("utf-8", "replace"), "generated")
    except ValueError:
        return
    _reflect(interface)
    for service in interface.services.values():
        for method in service.methods.values():
            for field in (*method.arguments, *method.throws):
                describe(field.type)
    for key in interface.structs:
        interface.struct_path(key)


def _reflect(interface: Interface) -> None:
    """Make the stubs of all services. Not all descriptions whose types can be shown can be made into stubs."""
    try:
        reflection = Reflection(interface)
        for key in reflection.services:
            Stub.of(reflection.stub(key))
    except (ValueError, ConfigurationError):
        pass


def seeds() -> dict[str, bytes]:
    """Return parts of the project's own file."""
    whole = json.loads(FILE.read_text("utf-8"))
    empty: dict[str, Any] = {"format": whole["format"], "structs": {}, "enums": {}, "constants": {}, "services": {}}
    found = {"empty": empty}
    for part in ("structs", "enums", "constants"):
        key, value = next(iter(whole[part].items()))
        found[part] = empty | {part: {key: value}}
    for key, service in whole["services"].items():
        plain = [method for method in service["methods"] if "struct" not in json.dumps(method)]
        few = service | {"extends": None, "methods": plain[:2]}
        found[key.rpartition(".")[2]] = empty | {"services": {key: few}}
    kinds: dict[str, Any] = {"enums": {"a.E": {"members": [], "doc": ""}}}
    kinds["structs"] = {"a.S": {"kind": "union", "doc": "", "fields": [], "annotations": {}}}
    types = ("bool", {"list": {"set": "i32"}}, {"map": ["string", {"enum": "a.E"}]}, {"struct": "a.S"})
    constants = {f"a.C{number}": {"type": kind, "doc": ""} for number, kind in enumerate(types)}
    found["types"] = empty | kinds | {"constants": constants}
    return {name: json.dumps(document).encode() for name, document in found.items()}
