"""Estimates of the memory that a peer's definitions take, in bytes. Each is rather too large than too small.

The constants were measured with tracemalloc (Python 3.11) and rounded up; ``tests/unit/broker/test_definitions.py``
compares them with what the objects of the running Python take.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import getsizeof
from typing import Any, Final

CHANNEL: Final = 2048
EXCHANGE: Final = 1024
QUEUE: Final = 4096
LANE: Final = 800
"""One priority of a queue: a ``deque`` has a block of memory even when it is empty."""
CONSUMER: Final = 1536
BINDING: Final = 768


def size_of(value: object) -> int:
    """Return the bytes of a name, a list of words, or a decoded table, with all that is in it."""
    size = getsizeof(value)
    if isinstance(value, Mapping):
        return size + sum(size_of(key) + size_of(each) for key, each in value.items())
    if isinstance(value, list):
        return size + sum(map(size_of, value))
    return size


def exchange_size(name: str, arguments: Mapping[str, Any]) -> int:
    """Return the size of an exchange without its bindings."""
    return EXCHANGE + size_of(name) + size_of(arguments)


def queue_size(name: str, priorities: int, arguments: Mapping[str, Any]) -> int:
    """Return the size of a queue without messages and consumers.

    :param priorities: the highest priority; 0: none.
    """
    return QUEUE + (priorities + 1) * LANE + size_of(name) + size_of(arguments)


def binding_size(routing_key: str, words: list[str], arguments: Mapping[str, Any]) -> int:
    """Return the size of a binding.

    :param words: of a pattern.
    """
    return BINDING + size_of(routing_key) + size_of(words) + size_of(arguments)


def consumer_size(tag: str) -> int:
    """Return the size of a consumer without its unacked messages, which are counted as messages."""
    return CONSUMER + 2 * size_of(tag)
