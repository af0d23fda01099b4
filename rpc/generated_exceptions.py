"""Make the exceptions of generated code behave as exceptions do.

The compiler makes them immutable, and goes too far: their ``__setattr__`` also refuses what Python itself sets on an
exception in flight, so ``contextlib.contextmanager``, ``Failure.cleanFailure``, ``copy`` and ``pickle`` end in a
``TypeError`` instead of the exception. The fields of the IDL stay immutable, for they make the hash.
"""

from __future__ import annotations

from typing import Any

_REPAIRED = "_rpc_repaired"


def repair(exception: type[Exception]) -> None:
    """Let `exception`, a generated class, take every attribute but its IDL fields. A second time changes nothing."""
    if exception.__dict__.get(_REPAIRED) or "__setattr__" not in exception.__dict__:
        return
    fields = {field[2] for field in exception.thrift_spec if field is not None}  # type: ignore[attr-defined]

    def refuse_fields(action: str, name: str) -> None:
        if name in fields:
            raise TypeError(f"can't {action} {exception.__name__}.{name}: the fields of an IDL exception are fixed")

    def __setattr__(self: Exception, name: str, value: Any) -> None:
        refuse_fields("modify", name)
        object.__setattr__(self, name, value)

    def __delattr__(self: Exception, name: str) -> None:
        refuse_fields("delete", name)
        object.__delattr__(self, name)

    def __reduce__(self: Exception) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, vars(self))

    for method in (__setattr__, __delattr__, __reduce__):
        setattr(exception, method.__name__, method)
    setattr(exception, _REPAIRED, True)


def _rebuild(exception: type[Exception], args: tuple[Any, ...], attributes: dict[str, Any]) -> Exception:
    """Make an equal exception, of a subclass too: whose ``__init__`` may take something else."""
    rebuilt = exception.__new__(exception, *args)
    vars(rebuilt).update(attributes)
    return rebuilt
