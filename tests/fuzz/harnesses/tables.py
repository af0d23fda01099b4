"""Field tables, such as the headers of a message."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

from rpc.amqp.codec.field_count import count_values
from rpc.amqp.codec.fields import (
    LateTimestamp,
    LongLong,
    TableView,
    decode_table,
    encode_table,
    join_table,
    split_table,
)
from rpc.errors import CodecError


def one(data: bytes) -> None:
    """Bytes are a table or a CodecError; a table that can be encoded again has the same fields, whole or one by one."""
    try:
        table, end = decode_table(data, 0)
    except CodecError:
        return
    fields = split_table(data)
    assert list(fields) == list(table)
    assert repr(dict(TableView(data))) == repr(table)
    assert count_values(data, len(data)) >= values_in(table)  # equal names are one value, and are counted
    assert repr(decode_table(join_table(fields), 0)[0]) == repr(table)
    try:
        encoded = encode_table(table)
    except CodecError as error:
        assert "NaN" in str(error) or "surrogate" in str(error), error
        return
    assert repr(decode_table(encoded, 0)) == repr((table, len(encoded)))
    assert end <= len(data)


def values_in(value: object) -> int:
    """Return the number of values in a table or array."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(1 + values_in(each) for each in inner)


def seeds() -> dict[str, bytes]:
    """Return tables of all types."""
    nested: dict[str, object] = {}
    for _ in range(62):
        nested = {"n": nested}
    values: dict[str, dict[str, object]] = {
        "empty": {},
        "numbers": {"true": True, "int": -1, "long": LongLong(1), "double": 1.5, "decimal": Decimal("-1.25")},
        "texts": {"text": "é", "bytes": b"\xff", "none": None},
        "times": {"time": datetime(2026, 1, 1, tzinfo=timezone.utc), "late": LateTimestamp(2**62)},
        "x-death": {"x-death": [{"count": 3, "queue": "rpc.Calculator", "routing-keys": ["a", "b"]}]},
        "deep": nested,
    }
    tables = {name: encode_table(table) for name, table in values.items()}
    rare = b"".join(b"\x01" + kind + kind + bytes(range(size)) for kind, size in ((b"b", 1), (b"B", 1), (b"s", 2)))
    rare += b"".join(b"\x01" + kind + kind + bytes(range(size)) for kind, size in ((b"u", 2), (b"i", 4), (b"f", 4)))
    return tables | {"rare-numbers": len(rare).to_bytes(4, "big") + rare}
