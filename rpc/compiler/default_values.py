"""The values of defaults, for ``idl.json``: a struct made from it must have the defaults of the generated class.

They are taken from the finished modules. The compiler's XML has them too, but it rounds doubles to six digits and does
not escape the control characters of strings.
"""

from __future__ import annotations

import ast
import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rpc.compiler.hashed_types import Definitions, helper_structs
from rpc.idl import python_name
from rpc.idl.base_values import double_to_json

_WRAPPERS: Final = frozenset({"set", "frozenset", "TFrozenDict", "_idl_freeze", "UUID"})
"""Functions in literals that stand around one value."""


def add_defaults(files: Mapping[str, str], definitions: Definitions) -> None:
    """Add the item ``default`` to each field, argument and exception that has one: JSON as :mod:`rpc.idl` reads it.

    :param files: the text of the finished modules, by path.
    """
    for module, structs in _structs_with_defaults(definitions).items():
        classes = {
            node.name: node
            for node in ast.parse(files[f"{module.replace('.', '/')}.py"]).body
            if isinstance(node, ast.ClassDef)
        }
        for name, fields in structs:
            written = _parameters(classes[name])
            for field in fields:
                value = _literal(written[python_name(field["name"])]) if field.get("has_default") else None
                if value is not None:
                    field["default"] = _to_json(field["type"], value, definitions)


def _structs_with_defaults(definitions: Definitions) -> dict[str, list[tuple[str, list[dict[str, Any]]]]]:
    """Return the name and fields of each class that has a field with a default, by the module of the class."""
    found: dict[str, list[tuple[str, list[dict[str, Any]]]]] = {}

    def add(module: str, structs: Iterable[tuple[str, list[dict[str, Any]]]]) -> None:
        chosen = [(name, fields) for name, fields in structs if any(field.get("has_default") for field in fields)]
        if chosen:
            found.setdefault(module, []).extend(chosen)

    for key, struct in definitions["structs"].items():
        package, _, name = key.rpartition(".")
        add(f"{package}.ttypes", [(python_name(name), struct["fields"])])
    for key, service in definitions["services"].items():
        add(key, helper_structs(service))
    return found


def _parameters(struct: ast.ClassDef) -> dict[str, ast.expr]:
    """Return the defaults in the signature of ``__init__``, by parameter."""
    init = next(node for node in struct.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    names = [argument.arg for argument in init.args.args][1:]
    return dict(zip(names, init.args.defaults, strict=True))


def _literal(node: ast.expr) -> Any:
    """Return the value of a literal. A list, set or tuple is a list; a map is a list of pairs; a struct is a dict."""
    match node:
        case ast.List(elements) | ast.Tuple(elements) | ast.Set(elements):
            return [_literal(element) for element in elements]
        case ast.Dict(keys, values):
            pairs = zip(keys, values, strict=True)
            return [(_literal(key), _literal(value)) for key, value in pairs if key is not None]
        case ast.Call(ast.Name("float"), [text]):
            return float(_literal(text))
        case ast.Call(ast.Name(name), arguments) if name in _WRAPPERS:
            return _literal(arguments[0]) if arguments else []
        case ast.Call(keywords=[ast.keyword(None, ast.Dict(keys, values))]):
            pairs = zip(keys, values, strict=True)
            return {_literal(key): _literal(value) for key, value in pairs if key is not None}
        case ast.Call():
            return {}
        case _:
            return ast.literal_eval(node)


def _to_json(kind: Any, value: Any, definitions: Definitions) -> Any:
    """Return a literal as JSON. A map is an array of pairs, since its keys may have any type."""
    if isinstance(kind, str):
        return _base_to_json(kind, value)
    ((constructor, content),) = kind.items()
    if constructor == "enum":
        return int(value)
    if constructor in ("list", "set"):
        return [_to_json(content, element, definitions) for element in value]
    if constructor == "map":
        key_kind, item_kind = content
        return [[_to_json(key_kind, key, definitions), _to_json(item_kind, item, definitions)] for key, item in value]
    fields = definitions["structs"][content]["fields"]
    given = ((field, value.get(python_name(field["name"]))) for field in fields)
    return {field["name"]: _to_json(field["type"], item, definitions) for field, item in given if item is not None}


def _base_to_json(kind: str, value: Any) -> Any:
    if kind == "bool":
        return bool(value)
    if kind == "double":
        return double_to_json(float(value))
    if kind == "binary":
        return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
    return value if kind in ("string", "uuid") else int(value)
