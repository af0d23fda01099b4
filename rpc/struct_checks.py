"""Checks of values by the types of their IDL. A check is made for each type once, and only for types that need one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from thrift.Thrift import TType

from rpc.generated_classes import INNER, fields_of, types_in

Check = Callable[[Any], None]
"""Raises an error when a value, or a value inside it, is not as it must be."""

CheckAll = Callable[[Iterable[Any]], None]
"""Checks some values of one base type; unset ones, which are ``None``, may be among them."""


class StructChecks:
    """The checks of one kind.

    :param of_struct: returns the check of a struct without the values in its fields; ``None`` when it needs none.
    :param of_base: returns the check of a base type, by ``TType`` and details; ``None`` when it needs none.
    """

    def __init__(
        self,
        of_struct: Callable[[type], Check | None] = lambda struct: None,
        of_base: Callable[[int, Any], CheckAll | None] = lambda ttype, details: None,
    ) -> None:
        self._of_struct = of_struct
        self._of_base = of_base
        self._made: dict[type, Check | None] = {}
        self._is_checked: dict[type, bool] = {}

    def check_of(self, struct: type) -> Check | None:
        """Return the check for values of a generated class; ``None`` when nothing inside it needs one."""
        if struct not in self._made:
            if struct not in self._is_checked:
                self._decide(struct)
            self._made[struct] = self._struct_check(struct) if self._is_checked[struct] else None
        return self._made[struct]

    def _decide(self, struct: type) -> None:
        """Find out whether a struct, and each that it can contain, needs a check. Each is looked at once: there may be
        thousands, which contain one another.
        """
        holders: dict[type, list[type]] = {struct: []}
        checked: list[type] = []
        pending = [struct]
        while pending:
            owner = pending.pop()
            needed = self._of_struct(owner) is not None
            for ttype, details in types_in(owner):
                if ttype != TType.STRUCT:
                    needed = needed or self._of_base(ttype, details) is not None
                elif details[0] in self._is_checked:
                    needed = needed or self._is_checked[details[0]]
                else:
                    if details[0] not in holders:
                        holders[details[0]] = []
                        pending.append(details[0])
                    holders[details[0]].append(owner)
            if needed:
                checked.append(owner)
        self._is_checked.update(dict.fromkeys(holders, False))
        while checked:
            each = checked.pop()
            if not self._is_checked[each]:
                self._is_checked[each] = True
                checked += holders[each]

    def _struct_check(self, struct: type) -> Check:
        check_struct = self._of_struct(struct)
        bases: list[tuple[Callable[[Any], Any], CheckAll]] = []
        inner: list[tuple[str, Check]] = []

        def check(value: Any) -> None:
            if check_struct is not None:
                check_struct(value)
            for get, check_all in bases:
                check_all(get(value))
            for name, check_field in inner:
                field = getattr(value, name)
                if field is not None:
                    check_field(field)

        self._made[struct] = check  # before its fields: a struct may contain itself
        try:
            bases += self._bases(struct)
            inner += self._inner(struct)
        except BaseException:
            del self._made[struct]  # otherwise the next use would check a part of the fields
            raise
        return check

    def _bases(self, struct: type) -> list[tuple[Callable[[Any], Any], CheckAll]]:
        """Return the checks of fields of base types. One call checks all fields with the same check."""
        names: dict[CheckAll, list[str]] = {}
        for _, ttype, name, details, *_ in fields_of(struct):
            check_all = None if ttype in INNER else self._of_base(ttype, details)
            if check_all is not None:
                names.setdefault(check_all, []).append(name)
        return [(_getter(found), check_all) for check_all, found in names.items()]

    def _inner(self, struct: type) -> list[tuple[str, Check]]:
        """Return the checks of fields that are structs and containers, by name."""
        checks = [(field[2], self._inner_check(field[1], field[3])) for field in fields_of(struct)]
        return [(name, check) for name, check in checks if check is not None]

    def _inner_check(self, ttype: int, details: Any) -> Check | None:
        if ttype == TType.STRUCT:
            return self.check_of(details[0])
        if ttype in (TType.LIST, TType.SET):
            return self._elements_check(details[0], details[1])
        if ttype == TType.MAP:
            return _items(self._elements_check(*details[:2]), self._elements_check(*details[2:4]))
        return None

    def _elements_check(self, ttype: int, details: Any) -> CheckAll | None:
        return _each(self._inner_check(ttype, details)) if ttype in INNER else self._of_base(ttype, details)


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that returns some attributes of an object."""
    if len(names) > 1:
        return attrgetter(*names)
    (name,) = names
    return lambda value: (getattr(value, name),)


def _each(check: Check | None) -> CheckAll | None:
    if check is None:
        return None

    def check_each(values: Iterable[Any]) -> None:
        for value in values:
            check(value)

    return check_each


def _items(check_keys: CheckAll | None, check_values: CheckAll | None) -> Check | None:
    if check_keys is None and check_values is None:
        return None

    def check_items(mapping: Any) -> None:
        if check_keys is not None:
            check_keys(mapping.keys())
        if check_values is not None:
            check_values(mapping.values())

    return check_items
