"""The report: its figures, and the deadline and metadata of its nested calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from thrift.Thrift import TApplicationException
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

import rpc
from generated.calculator import Calculator
from generated.calculator.ttypes import InvalidOperation
from generated.kvstore import KeyValueStore
from generated.kvstore.ttypes import Entry, InvalidArgument, Page
from generated.report import Report
from generated.report.ttypes import Summary
from services import calculator, report
from services.calculator import CalculatorHandler
from services.kvstore import KeyValueStoreHandler
from services.report import ReportHandler
from tests.services.support import ServiceTestCase

reactor: Any = global_reactor

DELAY = 0.05
"""Seconds that the slow store takes for a page."""


@attrs.define
class Documents:
    """A store in memory, as a client sees it: methods that return Deferreds, pages of any size up to the limit."""

    documents: dict[str, bytes]
    page: int = 2
    limits: list[int] = attrs.Factory(list)

    def scan(self, prefix: str, start: str, limit: int) -> Deferred[Page]:
        """A page of at most `page` entries."""
        self.limits.append(limit)
        keys = sorted(key for key in self.documents if key.startswith(prefix) and key >= start)
        size = min(self.page, limit)
        entries = [Entry(key, self.documents[key]) for key in keys[:size]]
        answer: Deferred[Page] = Deferred()
        answer.callback(Page(entries, keys[size] if len(keys) > size else None))
        return answer


class Sums:
    """The calculator as a client sees it."""

    def sum(self, numbers: Any) -> Deferred[int]:
        """Answer, or fail, at once."""
        answer: Deferred[int] = Deferred()
        try:
            answer.callback(CalculatorHandler().sum(numbers))
        except InvalidOperation as error:
            answer.errback(error)
        return answer


class ReportHandlerTests(SynchronousTestCase):
    """The handler with clients that answer at once."""

    def summarize(self, documents: dict[str, bytes], prefix: str = "", limit: int = 1000) -> Summary:
        """The summary of some documents."""
        handler: Any = ReportHandler(Documents(documents), Sums())  # type: ignore[arg-type]
        summary: Summary = self.successResultOf(Deferred.fromCoroutine(handler.summarize(prefix, limit)))
        return summary

    def test_reports_an_empty_store(self) -> None:
        """With nothing to count, all is 0 and there is no longest document."""
        self.assertEqual(self.summarize({}), Summary(0, 0, 0, 0.0, None))

    def test_reports_count_size_words_and_mean(self) -> None:
        """Documents, bytes and words are counted over all pages; of equally long ones the first is named."""
        documents = {"a": b"one two", "b": b" \t\nthree\x0bfour\x0cfive\r", "c": b"", "d": b"\xa0\xff", "e": b"x" * 19}
        self.assertEqual(self.summarize(documents), Summary(5, 47, 7, 9.4, "b"))

    def test_counts_empty_documents(self) -> None:
        """A store of empty documents has a longest one."""
        self.assertEqual(self.summarize({"a": b"", "b": b""}), Summary(2, 0, 0, 0.0, "a"))

    def test_reports_documents_of_a_prefix_up_to_the_limit(self) -> None:
        """Only documents under the prefix are counted, and no more than the limit."""
        documents = {"a1": b"1", "a2": b"22", "a3": b"333", "b1": b"4444"}
        self.assertEqual(self.summarize(documents, "a", 2), Summary(2, 3, 2, 1.5, "a2"))
        self.assertEqual(self.summarize(documents, "b", 2), Summary(1, 4, 1, 4.0, "b1"))

    def test_asks_for_no_more_than_the_limit(self) -> None:
        """Each page asks for the rest of the limit."""
        documents = Documents({str(number): b"" for number in range(5)})
        handler: Any = ReportHandler(documents, Sums())  # type: ignore[arg-type]
        self.successResultOf(Deferred.fromCoroutine(handler.summarize("", 3)))
        self.assertEqual(documents.limits, [3, 1])

    def test_rejects_a_limit_below_one(self) -> None:
        """A limit that leaves nothing to count is refused by name."""
        for limit in (0, -1):
            handler: Any = ReportHandler(Documents({}), Sums())  # type: ignore[arg-type]
            failure = self.failureResultOf(Deferred.fromCoroutine(handler.summarize("", limit)), InvalidArgument)
            self.assertEqual(failure.value.argument, "limit")


@implementer(KeyValueStore.Iface)
class SlowStore:
    """A store of two documents, a page each, that is slow with the first; it notes the time that each scan has left.

    :ivar answers: whether it answers; else the calls stay in progress.
    :ivar given_up: fires when a call in progress is cancelled.
    """

    def __init__(self) -> None:
        self.left: list[float] = []
        self.answers = True
        self.given_up: Deferred[None] = Deferred()

    def scan(self, prefix: str, start: str, limit: int) -> Page | Deferred[Page]:
        call = rpc.current_call()
        assert call is not None and call.deadline is not None
        self.left.append(call.deadline - reactor.seconds())
        if not self.answers:
            return Deferred(lambda _: self.given_up.callback(None))
        if start == "":
            return deferLater(reactor, DELAY, lambda: Page([Entry("a", b"one")], "b"))
        return Page([Entry("b", b"two")])

    def put(self, key: str, value: bytes) -> None:
        raise AssertionError("a report stores nothing")

    def get(self, key: str) -> bytes:
        raise AssertionError("a report scans")

    def remove(self, key: str) -> bool:
        raise AssertionError("a report deletes nothing")

    def compareAndSwap(self, key: str, swap: Any) -> bool:
        raise AssertionError("a report stores nothing")


class ReportServiceTests(ServiceTestCase):
    """The service through a broker, calling others through it."""

    timeout = 60.0

    def named(self, store: str, calculator: str) -> rpc.ThriftService:
        """The service with other names for all three."""

        def build(connection: rpc.Connection) -> ReportHandler:
            return ReportHandler(
                connection.client(KeyValueStore, name=store), connection.client(Calculator, name=calculator)
            )

        return rpc.ThriftService(Report, factory=build, name=self.unique("Report"))

    async def test_the_three_services_work_together(self) -> None:
        """The three services, served by one worker under their own names, give the figures of the stored lines."""
        self.address = self.virtual_host()
        path = Path(self.mktemp())
        handler = KeyValueStoreHandler(str(path))
        self.addCleanup(handler.close)
        self.serve(rpc.ThriftService(KeyValueStore, handler), calculator.service, report.service)
        store = await self.client(KeyValueStore, "scan", "", "", 1)
        await self.client(Calculator, "ping")
        client = await self.client(Report, "summarize", "", 1)
        for number in range(250):
            await store.put(f"doc/{number:03}", b"word " * number)
        figures = await client.summarize("doc/", 2**31 - 1)
        words = sum(range(250))
        self.assertEqual(figures, Summary(250, 5 * words, words, 5 * words / 250, "doc/249"))
        with self.assertRaises(InvalidArgument):
            await client.summarize("doc/", 0)

    async def serve_slow(self, store: SlowStore) -> Any:
        """Start a worker whose report reads `store`; give a client of the report."""
        served = rpc.ThriftService(KeyValueStore, store, name=self.unique("KeyValueStore"))
        sums = attrs.evolve(calculator.service, name=self.unique("Calculator"))
        reports = self.named(served.name, sums.name)
        self.serve(served, sums, reports)
        await self.client(KeyValueStore, "scan", "", "b", 1, name=served.name)
        await self.client(Calculator, "ping", name=sums.name)
        client = await self.client(Report, "summarize", "", 1, name=reports.name)
        store.left.clear()
        return client

    async def test_nested_calls_share_the_deadline(self) -> None:
        """A nested call has the time that its caller has left at that moment, not a time of its own."""
        store = SlowStore()
        client = rpc.with_options(await self.serve_slow(store), timeout=5.0)
        self.assertEqual((await client.summarize("", 2)).documents, 2)
        first, second = store.left
        self.assertLessEqual(first, 5.0)
        self.assertLessEqual(second, first - DELAY + 0.001)  # a deadline travels in whole milliseconds

    async def test_a_nested_call_is_cancelled_with_its_caller(self) -> None:
        """When the caller's time is up, the report is cancelled, and with it the call that it made itself."""
        store = SlowStore()
        patient = await self.serve_slow(store)
        store.answers = False
        while not store.left:  # a slow machine may take all of the time for the outer call
            with self.assertRaises(rpc.CallTimedOut):
                await rpc.with_options(patient, timeout=1.0).summarize("", 2)
        (left,) = store.left
        self.assertLessEqual(left, 1.0)
        await store.given_up
        # The report's deadline is that of its call, too: which of them comes first is chance, and the second is logged.
        self.flushLoggedErrors(rpc.CallTimedOut)

    async def test_fails_at_once_without_a_store(self) -> None:
        """A report without a store fails at once, and tells its caller no details."""
        reports = self.named(self.unique("Nowhere"), self.unique("Nowhere"))
        self.serve(reports)
        client = (await self.connect()).client(Report, name=reports.name)
        while True:
            try:
                await client.summarize("", 1)
            except rpc.ServiceUnavailable:
                continue  # the report's own worker is still declaring its queue
            except TApplicationException as error:
                self.assertEqual(error.type, TApplicationException.INTERNAL_ERROR)
                break
        self.assertEqual(len(self.flushLoggedErrors(rpc.ServiceUnavailable)), 1)
