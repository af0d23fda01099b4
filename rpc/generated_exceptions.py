"""Makes generated exceptions usable as Python exceptions.

The compiler makes them immutable. Their ``__setattr__`` also refuses ``__traceback__`` and the other attributes that
Python sets on a raised exception. So ``contextlib.contextmanager``, ``Failure.cleanFailure``, ``copy`` and ``pickle``
raise ``TypeError``. The fields of the IDL stay immutable, since the hash is computed from them.
"""

from __future__ import annotations

from typing import Any

_REPAIRED = "_rpc_repaired"


def repair(exception: type[Exception]) -> None:
    """Let every attribute of the generated class `exception` be set, except its IDL fields. It may be called twice."""
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
    """Return an equal exception. A subclass may have another ``__init__``, so it is not called."""
    rebuilt = exception.__new__(exception, *args)
    vars(rebuilt).update(attributes)
    return rebuilt
