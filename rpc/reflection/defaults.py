"""Default values, from the JSON in ``idl.json``.

A map is an array of pairs, binary is base64, an enum is its number, and a struct is an object of its fields. A double
that is not finite is text, as on the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rpc.frozen import freeze
from rpc.idl import BaseType, EnumType, ListType, MapType, SetType, StructType, Type, python_name
from rpc.idl.base_values import BASE_VALUES

LARGEST: Final = 10_000
"""Values in one default, of all levels. The defaults of structs in a default may double it with each struct."""

MOST: Final = 100_000
"""Values in all defaults together."""


class DefaultValues:
    """Makes the default values of one reflection.

    :param struct_class: returns the class of a struct, by its key.
    :param fields_of: returns the fields of a struct, by its key.
    """

    def __init__(self, struct_class: Callable[[str], type], fields_of: Callable[[str], Any]) -> None:
        self._struct_class = struct_class
        self._fields_of = fields_of
        self._sizes: dict[str, int] = {}
        self._total = 0

    def check(self, kind: Type, default: Any) -> None:
        """Check a default before it is made.

        :raises ValueError: it does not fit its type, has too many values, with all before it, or contains itself.
        """
        self._total += self._size(kind, default)
        if self._total > MOST:
            raise ValueError(f"the defaults have more than {MOST} values")

    def make(self, kind: Type, default: Any, hashed: bool = False) -> Any:
        """Return a new value.

        :param hashed: the value is in a set, or a key of a map.
        """
        match kind:
            case BaseType(name):
                return BASE_VALUES[name].convert(default)
            case EnumType():
                return BASE_VALUES["i32"].convert(default)
            case ListType(element):
                made: Any = [self.make(element, item) for item in default]
            case SetType(element):
                made = {self.make(element, item, True) for item in default}
            case MapType(key, value):
                made = {self.make(key, one, True): self.make(value, item) for one, item in default}
            case StructType(name):
                kinds = {field.name: field.type for field in self._fields_of(name)}
                content = {python_name(field): self.make(kinds[field], item) for field, item in default.items()}
                return self._struct_class(name)(**content)
        return freeze(made) if hashed else made

    def _size(self, kind: Type, default: Any) -> int:
        """Return the number of values in a default."""
        match kind:
            case BaseType() | EnumType():
                self.make(kind, default)
                return 1
            case ListType(element) | SetType(element):
                return self._sum([(element, item) for item in _expect(list, default)])
            case MapType(key, value):
                pairs = [(one, item) for one, item in _expect(list, default)]
                return self._sum([(key, one) for one, _ in pairs]) + self._sum([(value, item) for _, item in pairs])
            case StructType(name):
                kinds = {field.name: field.type for field in self._fields_of(name)}
                given = [(kinds[field], item) for field, item in _expect(dict, default).items()]
                return self._sum(given) + self._size_of_unset(name)

    def _size_of_unset(self, struct: str) -> int:
        """Return the number of values in the defaults of a struct, which may be in use as well."""
        if struct not in self._sizes:
            self._sizes[struct] = LARGEST + 1  # while it is computed: a default that contains itself has no end
            fields = [field for field in self._fields_of(struct) if field.default is not None]
            self._sizes[struct] = self._sum([(field.type, field.default) for field in fields])
        return self._sizes[struct]

    def _sum(self, values: list[tuple[Type, Any]]) -> int:
        total = 1
        for kind, default in values:
            total += self._size(kind, default)
            if total > LARGEST:
                raise ValueError(f"a default has more than {LARGEST} values")
        return total


def _expect(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise ValueError(f"a default has a {type(value).__name__} in the place of a {kind.__name__}")
    return value
