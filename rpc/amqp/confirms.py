"""The ledger of publisher confirms (RabbitMQ extension, class confirm).

The broker acks or nacks published messages by their numbers: one number in any order, or all numbers up to one
(https://www.rabbitmq.com/docs/confirms). Each published message has one entry here until then. Pure: numbers and
entries, no channel.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import takewhile
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class ConfirmLedger(Generic[Entry]):
    """Entries of messages that are published and not yet confirmed, by publish sequence number (the first is 1)."""

    __slots__ = ("_entries", "_next")

    def __init__(self) -> None:
        # In the order of publishing, so numbers ascend. An OrderedDict finds its first entry at once; a dict looks
        # through the slots of all entries that were removed before it.
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._next = 1

    def published(self, entry: Entry) -> int:
        """Note `entry` for the message that is published now, and return the message's number.

        Call it once for each message, in the order of publishing.
        """
        number = self._next
        self._entries[number] = entry
        self._next = number + 1
        return number

    @property
    def last(self) -> int:
        """The number of the last message that was published; 0: none was."""
        return self._next - 1

    def skip(self) -> None:
        """Count a message that is published now, and note no entry for it."""
        self._next += 1

    def forget(self, number: int) -> None:
        """Remove the entry of the message of this number. An absent entry is no error."""
        self._entries.pop(number, None)

    def settle(self, delivery_tag: int, multiple: bool) -> list[Entry]:
        """Remove and return the entries that the broker's ack or nack settles, in the order of publishing.

        A number that was settled before, or never given, yields nothing. With `multiple`, 0 means all (AMQP 0-9-1,
        basic.ack). The cost is by the entries settled, not by the numbers passed.
        """
        entries = self._entries
        if not multiple:
            entry = entries.pop(delivery_tag, None)
            return [] if entry is None else [entry]
        last = delivery_tag or self._next
        return [*map(entries.pop, list(takewhile(last.__ge__, entries)))]

    def outstanding(self) -> Iterator[tuple[int, Entry]]:
        """The numbers and their entries, in the order of publishing. The ledger must not change meanwhile."""
        return iter(self._entries.items())

    def __contains__(self, number: int) -> bool:
        return number in self._entries

    def __len__(self) -> int:
        return len(self._entries)
