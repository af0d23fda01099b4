"""A client may ask for a shorter time than the gateway's: in a header of HTTP or of THeader."""

from __future__ import annotations

from typing import Final

from rpc.errors import InvalidRequest

HEADER: Final = b"rpc-timeout-ms"
"""The name of the header. Its value is a whole number of milliseconds."""


def requested_timeout(value: bytes | None) -> float | None:
    """Return the seconds of a header's value; ``None`` when there is no header.

    :raises InvalidRequest: the value is no whole number of milliseconds from 1 to a billion.
    """
    if value is None:
        return None
    if not (value.isdigit() and len(value) <= 10 and int(value)):
        raise InvalidRequest(f"{HEADER.decode()}: {value[:40]!r} is no whole number of milliseconds above 0")
    return int(value) / 1000
