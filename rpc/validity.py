"""Checks what Thrift's accelerated decoders and encoders do not: ``required`` fields, and that one field of a union is
set.

Only ``validate()`` of a generated struct knows its required fields, and it ignores inner structs. Generated code treats
a union as a struct; only ``idl.json`` knows unions.
"""

from __future__ import annotations

from typing import Any

from thrift.protocol.TProtocol import TProtocolException

from rpc import idl
from rpc.generated_classes import fields_of
from rpc.struct_checks import Check, StructChecks


def validity_check(struct: type) -> Check | None:
    """Return the check for values of the generated class `struct`; ``None`` when it contains nothing to check.

    The check raises ``TProtocolException`` for a value in which a required field is unset, or a union has not exactly
    one field.

    :raises ValueError: the ``idl.json`` of a struct is damaged, or has another format.
    """
    return _checks.check_of(struct)


def own_check(struct: type) -> Check | None:
    """Return the check of the struct itself."""
    if idl.is_union(struct):
        return _union_check(struct)
    validate: Check = struct.validate  # type: ignore[attr-defined]  # of the class: a field may have its name
    try:
        validate(struct(**{field[2]: None for field in fields_of(struct)}))
    except TProtocolException:  # a field is required, with a default or without
        return validate
    return None


def _union_check(struct: type) -> Check:
    names = [field[2] for field in fields_of(struct)]

    def check(value: Any) -> None:
        found = [name for name in names if getattr(value, name) is not None]
        if len(found) != 1:
            raise TProtocolException(
                TProtocolException.INVALID_DATA,
                f"exactly one field of the union {struct.__name__} must be set; set: {', '.join(found) or 'none'}",
            )

    return check


_checks = StructChecks(of_struct=own_check)
