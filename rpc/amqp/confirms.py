"""The ledger of publisher confirms (RabbitMQ extension, class confirm).

The broker acks or nacks what was published by its number, one at a time in any order, or all up to a number. Each
published message has one entry here until then. Pure: numbers and entries, no channel.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class ConfirmLedger(Generic[Entry]):
    """Entries of what was published and not yet confirmed, by publish sequence number (the first is 1)."""

    __slots__ = ("_entries", "_lowest", "_next")

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._lowest = 1
        self._next = 1

    def published(self, entry: Entry) -> int:
        """Note `entry` for the message that is published now, and return its number. To be called in the order of
        publishing.
        """
        number = self._next
        self._entries[number] = entry
        self._next = number + 1
        return number

    def skip(self) -> None:
        """Note that a message is published now whose confirm nobody waits for."""
        self._next += 1

    def forget(self, number: int) -> None:
        """Wait no more for the confirm of the message of this number. One that is not there is no error."""
        self._entries.pop(number, None)

    def settle(self, delivery_tag: int, multiple: bool) -> list[Entry]:
        """Take out what an ack or nack of the broker settles, in the order of publishing.

        A number that was settled before, or never given, yields nothing. With `multiple`, 0 means all (AMQP 0-9-1,
        basic.ack).
        """
        if not multiple:
            entry = self._entries.pop(delivery_tag, None)
            return [] if entry is None else [entry]
        last = min(delivery_tag or self._next - 1, self._next - 1)
        pop = self._entries.pop
        settled = [entry for number in range(self._lowest, last + 1) if (entry := pop(number, None)) is not None]
        self._lowest = max(self._lowest, last + 1)
        return settled

    def outstanding(self) -> list[tuple[int, Entry]]:
        """The entries and their numbers, in the order of publishing."""
        return list(self._entries.items())

    def __contains__(self, number: int) -> bool:
        return number in self._entries

    def __len__(self) -> int:
        return len(self._entries)
