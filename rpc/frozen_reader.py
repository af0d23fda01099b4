"""Reads Thrift values of which some must be hashable, by the types of a ``thrift_spec``, in any protocol."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from operator import methodcaller
from typing import Any, Final

from thrift.protocol.TProtocol import TProtocolException
from thrift.Thrift import TType

from rpc.frozen import FrozenDict, value_hash
from rpc.generated_classes import is_immutable

Reader = Callable[[Any], Any]
"""Reads one value from a protocol."""

MOST_OF_ONE_HASH: Final = 100
"""Elements of one set, or keys of one map, that differ and have one hash.

A peer can compute numbers whose tuples have one hash: Python does not key it. Each element is compared with all others
of its hash, so the time would be quadratic. Of other data few elements have one hash: -1 and -2 have the same.
"""

_BASE: Final[dict[int, Reader]] = {
    TType.BOOL: methodcaller("readBool"),
    TType.BYTE: methodcaller("readByte"),
    TType.I16: methodcaller("readI16"),
    TType.I32: methodcaller("readI32"),
    TType.I64: methodcaller("readI64"),
    TType.DOUBLE: methodcaller("readDouble"),
    TType.STRING: methodcaller("readString"),
    TType.UUID: methodcaller("readUuid"),
}


def reader_of(ttype: int, details: Any) -> Reader:
    """Return the reader of a type.

    :param details: of the type, as a ``thrift_spec`` has them; they say which lists, sets and maps are frozen.
    """
    if ttype == TType.STRUCT:
        return _struct_reader(details[0])
    if ttype == TType.LIST:
        return _list_reader(details)
    if ttype == TType.SET:
        return _set_reader(details)
    if ttype == TType.MAP:
        return _map_reader(details)
    if details == "BINARY":
        return methodcaller("readBinary")
    return _BASE[ttype]


def _struct_reader(struct: Any) -> Reader:
    if is_immutable(struct):
        read_immutable: Reader = struct.read
        return read_immutable

    def read(protocol: Any) -> Any:
        value = struct()
        struct.read(value, protocol)  # a field may be called read
        return value

    return read


def _list_reader(details: Any) -> Reader:
    element = reader_of(details[0], details[1])
    make: Callable[[Iterable[Any]], Any] = tuple if details[2] else list

    def read(protocol: Any) -> Any:
        ttype, size = protocol.readListBegin()
        _check_type(size, details[0], ttype)
        value = make([element(protocol) for _ in range(size)])
        protocol.readListEnd()
        return value

    return read


def _set_reader(details: Any) -> Reader:
    element = reader_of(details[0], details[1])
    make: Callable[[Iterable[Any]], Any] = frozenset if details[2] else set

    def read(protocol: Any) -> Any:
        ttype, size = protocol.readSetBegin()
        _check_type(size, details[0], ttype)
        elements = [element(protocol) for _ in range(size)]
        protocol.readSetEnd()
        check_hashes(elements)
        return make(elements)

    return read


def _map_reader(details: Any) -> Reader:
    key, item = reader_of(details[0], details[1]), reader_of(details[2], details[3])
    make: Callable[[Iterable[tuple[Any, Any]]], Any] = FrozenDict if details[4] else dict

    def read(protocol: Any) -> Any:
        key_type, item_type, size = protocol.readMapBegin()
        _check_type(size, details[0], key_type)
        _check_type(size, details[2], item_type)
        items = [(key(protocol), item(protocol)) for _ in range(size)]
        protocol.readMapEnd()
        check_hashes([key for key, _ in items])
        return make(items)

    return read


def _check_type(size: int, expected: int, ttype: int) -> None:
    if size and ttype != expected:
        raise TProtocolException(
            TProtocolException.INVALID_DATA, f"a container has elements of type {ttype}, not {expected}"
        )


def check_hashes(values: list[Any]) -> None:
    """Refuse values of which too many differ and have one hash.

    :raises TProtocolException: there are more than :data:`MOST_OF_ONE_HASH`.
    """
    if len(values) <= MOST_OF_ONE_HASH:
        return
    groups: dict[int, list[Any]] = defaultdict(list)
    for value in values:
        groups[hash(value)].append(value)
    for group in groups.values():
        if len(group) > MOST_OF_ONE_HASH and len(set(map(value_hash, group))) > MOST_OF_ONE_HASH:
            raise TProtocolException(
                TProtocolException.SIZE_LIMIT, f"more than {MOST_OF_ONE_HASH} elements of a set or map have one hash"
            )
