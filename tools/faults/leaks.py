"""Finds leaks: entries left in the tables of calls and requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from rpc.amqp.confirms import ConfirmLedger
from rpc.deadlines import Deadlines

CONSTANT = {"_methods", "_handlers", "_served", "_direct", "_routes", "_tags", "_destinations"}
"""Tables of a worker that list its services or their parts, and are not empty while it serves."""

BOUNDED = {"_answered", "_unacked", "_replaced", "_never_began", "_logged", "_states", "_asked_again_at", "cancelled"}
"""Tables that keep settled entries on purpose, within bounds of their own."""

STOCKS = {"_ids"}
"""Lists of what the next calls will use."""

TABLES = (dict, list, set, deque, Deadlines, ConfirmLedger)


def _is_part(value: Any, seen: frozenset[int]) -> bool:
    ours = type(value).__module__.startswith(("rpc.client.", "rpc.worker."))
    return ours and hasattr(value, "__dict__") and id(value) not in seen


def tables(owner: Any, seen: frozenset[int] = frozenset()) -> Iterator[tuple[str, int]]:
    """The tables of a transport and of its parts: their names, and the number of entries."""
    seen |= {id(owner)}  # parts may know their whole
    for name, value in vars(owner).items():
        if isinstance(value, TABLES):
            if name not in CONSTANT | BOUNDED | STOCKS:
                yield f".{name}", len(value)
        elif _is_part(value, seen):
            yield from ((f".{name}{inner}", entries) for inner, entries in tables(value, seen))
    if hasattr(owner, "running"):
        yield ".running", owner.running
