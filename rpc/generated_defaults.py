"""Makes the default values of generated structs fresh for each struct.

The compiler writes them as defaults of ``__init__``, which Python makes once. Its guard against this compares them with
the defaults in ``thrift_spec``, which are other objects. So what a handler appends to an argument's default list would
be in the list of the next call.

The stubs of ``thrift-rpc compile`` have no such defaults (:mod:`rpc.compiler.defaults`), and stay as they are.
"""

from __future__ import annotations

from copy import deepcopy
from functools import wraps
from typing import Any

from thrift.Thrift import TFrozenDict, TType

from rpc.frozen import FrozenDict
from rpc.generated_classes import fields_of, types_in
from rpc.generated_exceptions import repair

FRESH = "_rpc_fresh_defaults"
"""An attribute of classes whose defaults are fresh: they were repaired, or made so (:mod:`rpc.reflection`)."""


def repair_defaults(struct: type) -> None:
    """Let every instance of a generated class, and of the classes of its fields, have defaults of its own.

    It may be called twice. A class without a default that can be changed stays as it is.
    """
    if FRESH in vars(struct):
        return
    setattr(struct, FRESH, True)  # before its fields: a struct may contain itself
    try:
        _repair(struct)
    except BaseException:
        delattr(struct, FRESH)  # otherwise the next use would share its defaults
        raise


def _repair(struct: type) -> None:
    for ttype, details in types_in(struct):
        if ttype == TType.STRUCT:
            repair_defaults(details[0])
    if issubclass(struct, Exception):
        repair(struct)  # otherwise it cannot be copied
    shared = _shared_defaults(struct)
    if shared:
        _replace_init(struct, shared)


def _shared_defaults(struct: type) -> dict[str, Any]:
    """Return the defaults that can be changed and are the same object in two instances, by the field's name."""
    first, second = struct(), struct()
    names = [field[2] for field in fields_of(struct)]
    values = {name: getattr(first, name) for name in names}
    return {name: value for name, value in values.items() if value is getattr(second, name) and _can_change(value)}


def _can_change(value: Any) -> bool:
    if isinstance(value, (bool, int, float, str, bytes, type(None))):
        return False
    if isinstance(value, (TFrozenDict, FrozenDict)):
        return any(map(_can_change, (*value, *value.values())))
    if isinstance(value, (tuple, frozenset)):
        return any(map(_can_change, value))
    kind: Any = type(value)
    if kind.__setattr__ is not object.__setattr__:  # an exception, or annotated as python.immutable
        return any(_can_change(getattr(value, field[2])) for field in fields_of(kind))
    return True


def _replace_init(struct: Any, shared: dict[str, Any]) -> None:
    original = struct.__init__
    fresh = deepcopy(shared)  # a program may change the shared ones, where it still has them

    @wraps(original)
    def __init__(self: Any, *arguments: Any, **fields: Any) -> None:
        original(self, *arguments, **fields)
        for name, value in shared.items():
            if getattr(self, name) is value:
                object.__setattr__(self, name, deepcopy(fresh[name]))  # the class may be immutable

    struct.__init__ = __init__
