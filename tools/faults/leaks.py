"""What must not grow: tables of calls and requests, open files, memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rpc.amqp.confirms import ConfirmLedger
from rpc.deadlines import Deadlines

CONSTANT = {"_methods", "_handlers", "_shared_consumers"}
"""Tables of a worker that say what it serves, and are not empty while it does."""

BOUNDED = {"_answered", "cancelled"}
"""Tables that keep what is over on purpose, within bounds of their own."""

TABLES = (dict, list, set, deque, Deadlines, ConfirmLedger)


def _is_part(value: Any, seen: frozenset[int]) -> bool:
    ours = type(value).__module__.startswith(("rpc.client.", "rpc.worker."))
    return ours and hasattr(value, "__dict__") and id(value) not in seen


def tables(owner: Any, seen: frozenset[int] = frozenset()) -> Iterator[tuple[str, int]]:
    """The tables of a transport, and of its parts, whatever their names, with the number of entries."""
    seen |= {id(owner)}  # parts may know their whole
    for name, value in vars(owner).items():
        if isinstance(value, TABLES):
            if name not in CONSTANT | BOUNDED:
                yield f".{name}", len(value)
        elif _is_part(value, seen):
            yield from ((f".{name}{inner}", entries) for inner, entries in tables(value, seen))
    if hasattr(owner, "running"):
        yield ".running", owner.running


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    """Memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
