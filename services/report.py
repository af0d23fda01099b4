"""Figures about the documents in a key-value store: a service that is a client of two others.

The worker passes its connection, so the calls made here share it. They inherit the rest of the caller's deadline.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import Numbers
from generated.kvstore import KeyValueStore
from generated.kvstore.ttypes import InvalidArgument
from generated.report import Report
from generated.report.ttypes import Summary

PAGE = 100
"""Documents of one request. Their words are counted on the reactor, which must not be blocked for long."""


@implementer(Report.Iface)
class ReportHandler:
    """Reads `store` page by page, and has `calculator` add each page's figures to the total so far."""

    def __init__(self, store: KeyValueStore.Client, calculator: Calculator.Client) -> None:
        self._store = store
        self._calculator = calculator

    async def summarize(self, prefix: str, limit: int) -> Summary:
        if limit is None or limit < 1:
            raise InvalidArgument("limit", f"{limit} is not above 0")
        documents = size = words = longest = 0
        largest_key: str | None = None
        start: str | None = ""
        while start is not None and documents < limit:
            page = await self._store.scan(prefix, start, min(PAGE, limit - documents))
            start = page.nextKey
            documents += len(page.entries)
            size = await self._calculator.sum(Numbers([size, *(len(entry.value) for entry in page.entries)]))
            words = await self._calculator.sum(Numbers([words, *(len(entry.value.split()) for entry in page.entries)]))
            for entry in page.entries:
                if largest_key is None or len(entry.value) > longest:
                    largest_key, longest = entry.key, len(entry.value)
        return Summary(documents, size, words, size / documents if documents else 0.0, largest_key)


def build(connection: Any) -> ReportHandler:
    """Return the handler of a worker whose connection this is."""
    return ReportHandler(connection.client(KeyValueStore), connection.client(Calculator))


service = rpc.ThriftService(Report, factory=build)
