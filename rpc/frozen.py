"""Lists, sets and maps that can be hashed, for the places where Python needs them: in a set, and as a key of a map.

Thrift allows any type there. Python's ``list``, ``set`` and ``dict`` cannot be hashed, so their frozen equivalents
arrive in such a place: ``tuple``, ``frozenset`` and :class:`FrozenDict`.
"""

from __future__ import annotations

import uuid
from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A ``dict`` that cannot be changed, and that can be hashed.

    Thrift's own ``TFrozenDict`` sorts its items to hash them. That fails for keys without an order, such as structs.
    """

    def __hash__(self) -> int:  # type: ignore[override]  # dict has none
        return value_hash(self)

    def _refuse(self, *args: object, **keywords: object) -> NoReturn:
        raise TypeError("a FrozenDict cannot be changed")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __repr__(self) -> str:
        return f"FrozenDict({super().__repr__()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


def freeze(value: Any) -> Any:
    """Return the hashable equivalent of a list, set or map, at any depth; any other value as it is."""
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    if isinstance(value, set | frozenset):
        return frozenset(map(freeze, value))
    if isinstance(value, dict):
        return FrozenDict({freeze(key): freeze(item) for key, item in value.items()})
    return value


def value_hash(value: Any) -> int:
    """Return a hash of a value of any type of Thrift; equal values have equal hashes.

    The hash is one of text, which Python keys with a secret (``PYTHONHASHSEED``). The hashes of numbers and tuples have
    no key, so a peer could send a set of structs that all have one hash, and building it would take quadratic time.
    """
    if isinstance(value, str | bytes):
        return hash(value)
    if isinstance(value, int | float):
        return hash(f"{int(value)}" if value == value // 1 else repr(value))  # 1, 1.0 and True are equal
    if isinstance(value, list | tuple):
        return hash(f"[{[value_hash(item) for item in value]}")
    if isinstance(value, set | frozenset):
        return hash(f"{{{sum(map(value_hash, value))}")
    if isinstance(value, dict):
        pairs = (hash(f"{value_hash(key)}:{value_hash(item)}") for key, item in value.items())
        return hash(f":{sum(pairs)}")
    if isinstance(value, uuid.UUID):
        return hash(value.bytes)
    if hasattr(value, "thrift_spec"):
        return struct_hash(value)
    return hash(value)


def struct_hash(struct: Any) -> int:
    """Return a hash of a struct's attributes, which its ``__eq__`` compares as well."""
    return value_hash([value for _, value in sorted(vars(struct).items())])  # no two have one name to be compared by
