"""Counts the values in an encoded field table, without decoding them (AMQP 0-9-1, section 4.2.5)."""

from __future__ import annotations

from rpc.amqp.codec.field_decoder import FIXED_SIZES

_STRING, _BYTES, _ARRAY, _TABLE = b"SxAF"


def count_values(table: bytes, most: int) -> int:
    """Return the number of values in a table, those in inner tables and arrays too. Above `most`, counting stops.

    Decoding a malformed table decodes no more values than this before it fails: each container is counted up to its
    first malformed value.
    """
    counted = 0
    containers = [(4, len(table), True)]
    while containers and counted <= most:
        at, end, has_names = containers.pop()
        try:
            while at < end and counted <= most:
                if has_names:
                    at += 1 + table[at]
                kind = table[at]
                counted += 1
                size = FIXED_SIZES.get(kind)
                if size is not None:
                    at += 1 + size
                elif kind in (_STRING, _BYTES, _ARRAY, _TABLE):
                    start = at + 5
                    at = start + int.from_bytes(table[at + 1 : start], "big")
                    if kind in (_ARRAY, _TABLE) and start < at:
                        containers.append((start, min(at, end), kind == _TABLE))
                else:
                    break
        except IndexError:
            pass  # a value ends past the table's end
    return counted
