"""The classes of structs and enums of one description."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from thrift.TRecursive import fix_spec

from rpc import idl
from rpc.generated_structs import freeze_specs
from rpc.reflection.defaults import DefaultValues
from rpc.reflection.specs import make_spec, spec_length
from rpc.reflection.structs import make_class, make_enum

MOST_CLASSES: Final = 4_000
"""Classes of one description, those of arguments and results as well. Each takes some 70 microseconds."""

MOST_ENTRIES: Final = 1_000_000
"""Entries of all ``thrift_spec`` together: a struct has as many as its largest field number."""

Makers = dict[str, Callable[[], Any]]


class Classes:
    """Makes classes, each when it is first needed."""

    def __init__(self, interface: idl.Interface) -> None:
        self._interface = interface
        self._defaults = DefaultValues(self.struct, lambda key: interface.structs[key].fields)
        self._enums: dict[str, type] = {}
        self._count = 0
        self._entries = 0

    def struct(self, key: str) -> type:
        """Return the class of a struct that :meth:`make` has made."""
        return self._interface.classes[key]

    def enum(self, key: str) -> type:
        """Return the class of an enum."""
        if key not in self._enums:
            self._enums[key] = make_enum(self._interface.enums[key])
        return self._enums[key]

    def make(self, keys: Iterable[str]) -> None:
        """Make the classes of structs, with those that they need.

        :raises ValueError: there are too many, a default does not fit, or field numbers are too large.
        """
        classes = self._interface.classes
        new = {key: self._interface.structs[key] for key in keys if key not in classes}
        makers = {key: self._default_makers(struct.fields) for key, struct in new.items()}
        made: dict[str, Any] = {}
        for key, struct in new.items():
            self._count_class(struct.fields)
            name = idl.python_name(struct.name)
            made[key] = make_class(name, struct.kind, struct.fields, makers[key], struct.doc)
        classes.update(made)
        for key, struct in new.items():
            made[key].thrift_spec = make_spec(struct.fields, makers[key], self.struct)
        _complete(list(made.values()))

    def helper(self, name: str, fields: Sequence[idl.Field]) -> type:
        """Return the class of a method's arguments or result.

        :raises ValueError: as :meth:`make`.
        """
        self._count_class(fields)
        makers = self._default_makers(fields)
        made: Any = make_class(name, "struct", fields, makers)
        made.thrift_spec = make_spec(fields, makers, self.struct)
        _complete([made])
        helper: type = made
        return helper

    def _count_class(self, fields: Sequence[idl.Field]) -> None:
        self._count += 1
        self._entries += spec_length(fields)
        if self._count > MOST_CLASSES:
            raise ValueError(f"it needs more than {MOST_CLASSES} classes")
        if self._entries > MOST_ENTRIES:
            raise ValueError(f"its field numbers are too large: over {MOST_ENTRIES} entries")

    def _default_makers(self, fields: Sequence[idl.Field]) -> Makers:
        makers: Makers = {}
        for field in fields:
            if field.default is not None:
                self._check_default(field)
                makers[idl.python_name(field.name)] = partial(self._defaults.make, field.type, field.default)
        return makers

    def _check_default(self, field: idl.Field) -> None:
        try:
            self._defaults.check(field.type, field.default)
        except (ValueError, OverflowError, TypeError, KeyError) as error:
            raise ValueError(
                f"the default of {field.name!r} does not fit its type: {error or 'no such value'}"
            ) from error


def _complete(structs: list[type]) -> None:
    freeze_specs(structs)
    fix_spec(structs)
