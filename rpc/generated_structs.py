"""What generated structs need that the Thrift compiler leaves out.

``thrift-rpc compile`` writes uses of these functions into the modules that need them:

- :func:`by_value` makes a struct hashable that is in a set, or a key of a map;
- :func:`reads_frozen` and :func:`freeze_specs` have lists, sets and maps in such places read as values that can be
  hashed;
- :func:`complete_spec` describes a struct with a field without a number, for which the compiler writes no
  ``thrift_spec``.

Thrift's C extension can neither make such values nor read such fields. :func:`is_accelerated` tells which structs it
can handle. The ``read`` and ``write`` of the generated classes handle all of them, with any protocol that is not
accelerated. A codec that reads by ``thrift_spec`` itself finds every field there, also those without a number, and the
mark of each list, set and map that is frozen.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, TypeVar

from thrift.Thrift import TType

from rpc.frozen import struct_hash
from rpc.frozen_reader import Reader, reader_of
from rpc.generated_classes import fields_of, is_immutable

S = TypeVar("S", bound=type)

Field = tuple[Any, ...]
"""An entry of a ``thrift_spec``: number, ``TType``, name, details of the type, default."""

_CONTAINERS: Final = (TType.LIST, TType.SET, TType.MAP)


def by_value(struct: S) -> S:
    """Give the generated class `struct` a hash of its fields, by which it is equal as well."""
    struct.__hash__ = struct_hash  # type: ignore[assignment]
    return struct


def reads_frozen(struct: S) -> S:
    """Have the generated class `struct` read the elements of sets, and the keys of maps, as hashable values."""
    made = cache(_readers)

    def fields(owner: type, protocol: Any) -> Iterator[tuple[str, Any]]:
        return _read_fields(made(owner), protocol)

    def read(self: Any, iprot: Any) -> None:
        for name, value in fields(type(self), iprot):
            setattr(self, name, value)

    def read_immutable(cls: Any, iprot: Any) -> Any:
        return cls(**dict(fields(cls, iprot)))

    struct.read = classmethod(read_immutable) if is_immutable(struct) else read  # type: ignore[attr-defined]
    return struct


def freeze_specs(structs: Iterable[type]) -> None:
    """Say in the ``thrift_spec`` of generated classes that lists, sets and maps are frozen where they are hashed.

    They have a mark for the annotation ``python.immutable``, which makes a list a tuple and a set a frozenset.
    """
    for struct in structs:
        spec = tuple(field and (*field[:3], _frozen(field[1], field[3]), *field[4:]) for field in struct.thrift_spec)  # type: ignore[attr-defined]
        struct.thrift_spec = spec  # type: ignore[attr-defined]


def _frozen(ttype: int, details: Any, hashed: bool = False) -> Any:
    """Return the details of a type with the mark on hashed containers."""
    if ttype == TType.MAP:
        key, item = _frozen(details[0], details[1], True), _frozen(details[2], details[3], hashed)
        return (details[0], key, details[2], item, hashed or details[4])
    if ttype in _CONTAINERS:
        return (details[0], _frozen(details[0], details[1], hashed or ttype == TType.SET), hashed or details[2])
    return details


def complete_spec(struct: type, *fields: Field) -> tuple[Field | None, ...]:
    """Return the ``thrift_spec`` of a struct with fields without a number, which Thrift numbers from -1 downwards.

    A field's index is its number. The fields without one are at the end, where Python finds them by a negative index:
    the struct's ``__init__`` looks for defaults there.

    :param fields: without their defaults, which the signature of the struct's ``__init__`` has.
    """
    parameters = inspect.signature(struct).parameters
    spec: list[Field | None] = [None] * (max(field[0] for field in fields) + 1)
    spec += [None] * -min(field[0] for field in fields)
    for number, ttype, name, details in fields:
        spec[number] = (number, ttype, name, details, parameters[name].default)
    return tuple(spec)


@cache
def is_accelerated(struct: type) -> bool:
    """Return whether Thrift's C extension can read a generated class and all structs in it.

    It reads by index, so it knows no negative number (``protocol.tcc``, ``readStruct``). Plain output of the Thrift
    compiler has no ``thrift_spec`` for a struct with such a field, only an empty tuple.
    """
    return is_written_accelerated(struct) and not any(map(_has_hashed_container, _all_fields(struct)))


@cache
def is_written_accelerated(struct: type) -> bool:
    """Return whether the C extension can write it: frozen lists, sets and maps as well."""
    return all(field[0] >= 0 for field in _all_fields(struct))


def _all_fields(struct: type) -> list[Field]:
    """Return the fields of the struct, and of all structs that its values can contain."""
    found: dict[type, list[Field]] = {}
    pending = [struct]
    while pending:
        owner = pending.pop()
        if owner not in found:
            found[owner] = fields_of(owner)
            for field in found[owner]:
                pending += [details[0] for ttype, details, _ in _parts(field) if ttype == TType.STRUCT]
    return [field for fields in found.values() for field in fields]


def _has_hashed_container(field: Field) -> bool:
    return any(hashed and ttype in _CONTAINERS for ttype, _, hashed in _parts(field))


def _parts(field: Field) -> Iterator[tuple[int, Any, bool]]:
    """Yield the type of a field and the types in it: ``TType``, details, and whether its values are hashed."""
    pending: list[tuple[int, Any, bool]] = [(field[1], field[3], False)]
    while pending:
        ttype, details, hashed = pending.pop()
        yield ttype, details, hashed
        if ttype == TType.MAP:
            pending += [(details[0], details[1], True), (details[2], details[3], hashed)]
        elif ttype in _CONTAINERS:
            pending.append((details[0], details[1], hashed or ttype == TType.SET))


def _readers(struct: type) -> dict[int, tuple[int, str, Reader]]:
    return {field[0]: (field[1], field[2], reader_of(field[1], field[3])) for field in fields_of(struct)}


def _read_fields(readers: dict[int, tuple[int, str, Reader]], protocol: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each field. A field that is unknown, or has another type, is skipped."""
    protocol.readStructBegin()
    while True:
        _, ttype, number = protocol.readFieldBegin()
        if ttype == TType.STOP:
            break
        expected, name, read = readers.get(number, (None, "", None))
        if read is None or ttype != expected:
            protocol.skip(ttype)
        else:
            yield name, read(protocol)
        protocol.readFieldEnd()
    protocol.readStructEnd()
