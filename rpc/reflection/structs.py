"""Classes of structs, unions, exceptions and enums, as the Thrift compiler writes them.

The differences: every struct has a hash of its fields, and none is immutable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thrift.protocol.TProtocol import TProtocolException
from thrift.Thrift import TException

from rpc.frozen import struct_hash
from rpc.generated_defaults import FRESH
from rpc.generated_structs import reads_frozen
from rpc.idl import IS_UNION, EnumDescription, Field, python_name
from rpc.reflection.writing import write_struct

MODULE = __name__
"""The ``__module__`` of all reflected classes. A description's own names may be those of any module here."""


def _show(self: Any) -> str:
    shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
    return f"{type(self).__name__}({shown})"


def _equals(self: Any, other: object) -> bool:
    return isinstance(other, type(self)) and vars(self) == vars(other)


def make_class(
    name: str,
    kind: str,
    fields: Sequence[Field],
    defaults: Mapping[str, Callable[[], Any]],
    doc: str = "",
) -> type:
    """Return the class of a struct, without its ``thrift_spec``.

    :param kind: ``"struct"``, ``"union"`` or ``"exception"``.
    :param defaults: makes the default of a field, by the field's name in Python.
    """
    content: dict[str, Any] = {
        "__module__": MODULE,
        "__doc__": doc or None,
        "__init__": _initializer(name, [python_name(field.name) for field in fields], defaults),
        "__repr__": _show,
        "__eq__": _equals,
        "__hash__": struct_hash,
        "read": lambda self, iprot: None,
        "write": write_struct,
        "validate": _no_check,
        IS_UNION: kind == "union",
        FRESH: True,
    }
    if kind == "exception":
        content["__str__"] = _show
    made = reads_frozen(type(name, (TException,) if kind == "exception" else (), content))
    required = [python_name(field.name) for field in fields if field.requiredness == "required"]
    if required:
        made.validate = _required_check(required)  # type: ignore[attr-defined]
    return made


def make_enum(description: EnumDescription) -> type:
    """Return the class of an enum: a number by each name, and both tables of the Thrift compiler."""
    numbers = dict(description.members)
    content: dict[str, Any] = {python_name(name): number for name, number in numbers.items()}
    content["__module__"] = MODULE
    content["__doc__"] = description.doc or None
    content["_VALUES_TO_NAMES"] = {number: name for name, number in numbers.items()}
    content["_NAMES_TO_VALUES"] = numbers
    return type(python_name(description.name), (), content)


def _initializer(owner: str, names: Sequence[str], defaults: Mapping[str, Callable[[], Any]]) -> Callable[..., None]:
    known = frozenset(names)

    def __init__(self: Any, /, *values: Any, **named: Any) -> None:
        if len(values) > len(names):
            raise TypeError(f"{owner}() takes {len(names)} fields, not {len(values)}")
        given = dict(zip(names, values, strict=False))
        wrong = next((name for name in named if name not in known or name in given), None)
        if wrong is not None:
            why = "got two values for the field" if wrong in given else "has no field"
            raise TypeError(f"{owner}() {why} {wrong!r}; its fields: {', '.join(names) or 'none'}")
        given.update(named)
        for name in names:
            if name in given:
                setattr(self, name, given[name])
            else:
                setattr(self, name, defaults[name]() if name in defaults else None)

    return __init__


def _no_check(self: Any) -> None:
    pass


def _required_check(names: Sequence[str]) -> Callable[[Any], None]:
    def validate(self: Any) -> None:
        for name in names:
            if getattr(self, name) is None:
                raise TProtocolException(message=f"Required field {name} is unset!")

    return validate
