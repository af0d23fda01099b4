"""The types of the IDL, typedefs resolved (Thrift's IDL reference, "Types")."""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs

BASE_TYPES: Final = frozenset({"bool", "i8", "i16", "i32", "i64", "double", "string", "binary", "uuid"})


@attrs.frozen
class BaseType:
    """One of Thrift's base types.

    :ivar name: one of :data:`BASE_TYPES`; ``byte`` is ``i8``.
    """

    name: str


@attrs.frozen
class ListType:
    """``list<element>``."""

    element: Type


@attrs.frozen
class SetType:
    """``set<element>``."""

    element: Type


@attrs.frozen
class MapType:
    """``map<key, value>``."""

    key: Type
    value: Type


@attrs.frozen
class StructType:
    """A struct, union or exception.

    :ivar name: the key in ``Interface.structs``: Python package below the output's root, a dot, the name.
    """

    name: str


@attrs.frozen
class EnumType:
    """An enum; on the wire and in Python an ``int``.

    :ivar name: the key in ``Interface.enums``.
    """

    name: str


Type: TypeAlias = BaseType | ListType | SetType | MapType | StructType | EnumType
"""The type of a value."""
