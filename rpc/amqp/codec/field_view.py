"""An encoded field table as a mapping whose values are decoded when they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rpc.amqp.codec.field_decoder import decode_field, split_table


class TableView(Mapping[str, Any]):
    """The fields of a table by name.

    The embedded broker reads few headers of a message. A peer can fill the others with values that take long to decode.

    :raises CodecError: the table cannot be split; or later, the value that is read cannot be decoded.
    """

    __slots__ = ("_decoded", "_fields")

    def __init__(self, table: bytes) -> None:
        self._fields = split_table(table)
        self._decoded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._decoded:
            self._decoded[name] = decode_field(self._fields[name])
        return self._decoded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)
