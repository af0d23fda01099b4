"""The rules of a description, without which no classes can be made of it: a peer may have written it.

``thrift-rpc compile`` refuses an IDL that would break these rules.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rpc.idl import Field, Interface, MethodDescription, python_name

_STRUCT_ATTRIBUTES: Final = frozenset({"self", "thrift_spec"})
_EXCEPTION_ATTRIBUTES: Final = _STRUCT_ATTRIBUTES | {"args", "with_traceback", "add_note"}


def check(interface: Interface) -> None:
    """Check the names and numbers in a description.

    :raises ValueError: one cannot be used.
    """
    for owner, fields, taken in _structs(interface):
        _check_fields(owner, fields, taken)
    for enum in interface.enums.values():
        _check_names(enum.name, [python_name(enum.name)], frozenset())
        _check_names(enum.name, map(python_name, enum.members), frozenset())
    for service in interface.services.values():
        _check_names(service.name, [python_name(name) for name in service.methods], frozenset())


def _structs(interface: Interface) -> Iterator[tuple[str, Sequence[Field], frozenset[str]]]:
    """Yield the name, the fields, and the names that no field can have, of each class that may be made."""
    for struct in interface.structs.values():
        _check_names(struct.name, [python_name(struct.name)], frozenset())
        yield struct.name, struct.fields, (_EXCEPTION_ATTRIBUTES if struct.kind == "exception" else _STRUCT_ATTRIBUTES)
    for service in interface.services.values():
        for method in service.methods.values():
            yield f"{service.name}.{method.name}", method.arguments, _STRUCT_ATTRIBUTES
            yield f"{service.name}.{method.name}", result_fields(method), _STRUCT_ATTRIBUTES


def result_fields(method: MethodDescription) -> list[Field]:
    """Return the fields of a method's result: its value, which has the number 0, and its exceptions."""
    if method.returns is None:
        return list(method.throws)
    return [Field(0, "success", method.returns, "default", False, ""), *method.throws]


def _check_fields(owner: str, fields: Sequence[Field], taken: frozenset[str]) -> None:
    _check_names(owner, [python_name(field.name) for field in fields], taken)
    numbers = [field.id for field in fields]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{owner} has two fields of one number")
    wrong = next((number for number in numbers if not -(2**15) <= number < 2**15), None)
    if wrong is not None:
        raise ValueError(f"{owner} has a field of number {wrong}, which is no i16")


def _check_names(owner: str, names: Iterable[str], taken: frozenset[str]) -> None:
    """Refuse names that Python does not have, changes or uses itself, and names that are there twice."""
    seen: set[str] = set()
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__") or name in taken:
            raise ValueError(f"{owner[:80]!r} has the name {name[:80]!r}, which no stub can have")
        if name in seen:
            raise ValueError(f"{owner[:80]!r} has the name {name[:80]!r} twice")
        seen.add(name)
