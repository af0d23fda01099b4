"""The store: its statements on a file of their own, several connections on one file, and the service on a broker."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

import rpc
from generated.kvstore import KeyValueStore
from generated.kvstore.constants import MAX_SCAN
from generated.kvstore.ttypes import Entry, InvalidArgument, NotFound, Page, Swap
from services import kvstore
from services.kvstore import KeyValueStoreHandler
from tests.processes import WorkerProcess
from tests.services.support import ServiceTestCase

PROJECT = Path(__file__).parents[2]

EVERY_BYTE = bytes(range(256))
RACERS = 4
INCREMENTS = 25


async def increment(store: Any, key: str) -> None:
    """Add 1 to the number under `key` by compare-and-swap, repeated until it succeeds."""
    while True:
        try:
            expected = await store.get(key)
        except NotFound:
            expected = None
        counted = b"%d" % (int(expected or 0) + 1)
        if await store.compareAndSwap(key, Swap(expected, counted)):
            return


async def increment_often(store: Any, key: str) -> None:
    """One racer's work."""
    for _ in range(INCREMENTS):
        await increment(store, key)


def race(stores: list[Any]) -> Deferred[Any]:
    """Have every store's racer count under one key at the same time."""
    return gatherResults([Deferred.fromCoroutine(increment_often(store, "counter")) for store in stores])


class KeyValueStoreHandlerTests(TestCase):
    """The handler by itself, on a real file."""

    timeout = 60.0

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        self.path = str(folder / "store.sqlite3")
        self.store = self.open()

    def open(self) -> KeyValueStoreHandler:
        """Another handler on the same file."""
        handler = KeyValueStoreHandler(self.path)
        self.addCleanup(handler.close)
        return handler

    async def invalid(self, call: Any) -> str | None:
        """The argument that the call's InvalidArgument names."""
        with self.assertRaises(InvalidArgument) as caught:
            await call
        invalid: InvalidArgument = caught.exception
        return invalid.argument

    async def fill(self, *keys: str) -> None:
        """Store each key under itself."""
        for key in keys:
            await self.store.put(key, key.encode())

    async def keys(self, prefix: str = "", start: str = "", limit: int = MAX_SCAN) -> list[str]:
        """The keys of a page."""
        return [entry.key for entry in (await self.store.scan(prefix, start, limit)).entries]

    def test_nothing_is_opened_before_the_first_call(self) -> None:
        """Making a handler leaves file and threads for later: twistd may still fork."""
        self.assertFalse(Path(self.path).exists())

    async def test_gets_the_value_that_was_put(self) -> None:
        """A value comes back as it was stored, and the last one counts."""
        for value in (b"", b"text", EVERY_BYTE):
            await self.store.put("key", value)
            self.assertEqual(await self.store.get("key"), value)

    async def test_any_text_is_a_key(self) -> None:
        """Keys differ by every character, also those that SQL or SQLite give a meaning."""
        odd = ["a", "A", "a\0", "a\0b", "%", "_", "'", "é", "e\u0301", "\U0010ffff", "x" * 100_000]
        await self.fill(*odd)
        for key in odd:
            self.assertEqual(await self.store.get(key), key.encode())

    async def test_get_raises_for_a_missing_key(self) -> None:
        """A key under which nothing is stored is named in the exception."""
        with self.assertRaises(NotFound) as caught:
            await self.store.get("nowhere")
        self.assertEqual(caught.exception.key, "nowhere")

    async def test_delete_says_whether_there_was_a_value(self) -> None:
        """Removing answers whether there was something to remove."""
        await self.fill("key")
        self.assertEqual([await self.store.remove("key"), await self.store.remove("key")], [True, False])
        self.assertEqual(await self.keys(), [])

    async def test_rejects_invalid_arguments(self) -> None:
        """Every argument that cannot be used is named."""
        calls = [
            (self.store.put("", b"value"), "key"),
            (self.store.get(""), "key"),
            (self.store.remove(""), "key"),
            (self.store.compareAndSwap("", Swap()), "key"),
            (self.store.get("\ud800"), "key"),
            (self.store.scan("", "", 0), "limit"),
            (self.store.scan("", "", MAX_SCAN + 1), "limit"),
        ]
        for call, argument in calls:
            self.assertEqual(await self.invalid(call), argument)

    async def test_rejects_missing_arguments(self) -> None:
        """An argument that a peer left out is named, too: Thrift does not require it."""
        store: Any = self.store
        self.assertEqual(await self.invalid(store.put("key", None)), "value")
        self.assertEqual(await self.invalid(store.get(None)), "key")
        self.assertEqual(await self.invalid(store.scan(None, "", 1)), "prefix")
        self.assertEqual(await self.invalid(store.compareAndSwap("key", None)), "swap")

    async def test_scan_returns_keys_in_order(self) -> None:
        """Keys come in the order of their code points, which is not that of UTF-16."""
        ordered = ["Z", "a", "é", "\ufb00", "\U0001f600"]
        await self.fill(*reversed(ordered))
        self.assertEqual(await self.keys(), ordered)

    async def test_scan_returns_keys_with_the_prefix(self) -> None:
        """A prefix takes the keys that begin with it, and it alone."""
        await self.fill("a", "a%", "a%b", "ab", "b", "\U0010ffff", "\U0010ffffx")
        self.assertEqual(await self.keys("a%"), ["a%", "a%b"])
        self.assertEqual(await self.keys("\U0010ffff"), ["\U0010ffff", "\U0010ffffx"])
        self.assertEqual(await self.keys("c"), [])

    async def test_scan_starts_behind_a_key(self) -> None:
        """A start within the prefix skips the keys before it; one before it skips nothing; one behind it all."""
        await self.fill("a1", "a2", "a3", "b1")
        self.assertEqual(await self.keys("a", "a2"), ["a2", "a3"])
        self.assertEqual(await self.keys("a", "0"), ["a1", "a2", "a3"])
        self.assertEqual(await self.keys("a", "b"), [])

    async def test_scan_returns_at_most_the_limit(self) -> None:
        """Pages hold as many entries as asked for; the last one says that it is."""
        await self.fill("a", "b", "c")
        first = await self.store.scan("", "", 2)
        self.assertEqual(first, Page([Entry("a", b"a"), Entry("b", b"b")], "c"))
        self.assertEqual(await self.store.scan("", "c", 2), Page([Entry("c", b"c")]))
        self.assertIsNone((await self.store.scan("", "", 3)).nextKey)
        self.assertIsNone((await self.store.scan("", "", MAX_SCAN)).nextKey)

    async def test_scan_returns_a_page_of_bounded_size(self) -> None:
        """A page of values that together are no message any more ends earlier, and says where to go on."""
        self.patch(kvstore, "PAGE_BYTES", 10)
        for key in "abc":
            await self.store.put(key, bytes(6))
        self.assertEqual(await self.store.scan("", "", 3), Page([Entry("a", bytes(6)), Entry("b", bytes(6))], "c"))

    async def test_swaps_a_value_that_is_the_expected_one(self) -> None:
        """Nothing changes unless the stored value is the expected one, absence included."""
        swaps = [
            (Swap(None, None), True, None),
            (Swap(b"1", b"2"), False, None),
            (Swap(b"1", None), False, None),
            (Swap(None, b"1"), True, b"1"),
            (Swap(None, b"2"), False, b"1"),
            (Swap(None, None), False, b"1"),
            (Swap(b"", b"2"), False, b"1"),
            (Swap(b"1", EVERY_BYTE), True, EVERY_BYTE),
            (Swap(EVERY_BYTE, b""), True, b""),
            (Swap(b"1", None), False, b""),
            (Swap(b"", None), True, None),
        ]
        for swap, swapped, stored in swaps:
            self.assertEqual(await self.store.compareAndSwap("key", swap), swapped, swap)
            page = await self.store.scan("key", "", 1)
            self.assertEqual([entry.value for entry in page.entries], [] if stored is None else [stored], swap)

    async def test_a_store_that_was_closed_opens_again(self) -> None:
        """Stored values are there for the next process, and closing leaves one file only."""
        await self.store.put("key", EVERY_BYTE)
        self.store.close()
        self.assertEqual([path.name for path in Path(self.path).parent.iterdir()], ["store.sqlite3"])
        self.assertEqual(await self.open().get("key"), EVERY_BYTE)

    async def test_races_on_one_file_lose_no_update(self) -> None:
        """Of several connections that count under one key by compare-and-swap, none loses a count."""
        await race([self.open() for _ in range(RACERS)])
        self.assertEqual(await self.store.get("counter"), b"%d" % (RACERS * INCREMENTS))

    async def test_several_stores_open_one_file_at_once(self) -> None:
        """Connections that make the file at the same moment do not disturb each other."""
        await gatherResults(
            [Deferred.fromCoroutine(self.open().put(str(number), b"")) for number in range(8)], consumeErrors=True
        )
        self.assertEqual(len(await self.keys()), 8)

    async def test_reads_while_another_process_writes(self) -> None:
        """During a write transaction of another process, the stored values are readable."""
        await self.fill("key")
        with sqlite3.connect(self.path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("DELETE FROM entries")
            self.assertEqual(await self.store.get("key"), b"key")
            other.execute("ROLLBACK")
        other.close()

    async def test_the_reactor_goes_on_while_a_write_waits(self) -> None:
        """A write that waits for another process does not delay other calls."""
        await self.fill("key")
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        writing = Deferred.fromCoroutine(self.store.put("key", b"later"))
        self.assertEqual(await deferToThread(lambda: "alive"), "alive")
        self.assertNoResult(writing)
        other.execute("COMMIT")
        await writing
        self.assertEqual(await self.store.get("key"), b"later")


class KeyValueStoreServiceTests(ServiceTestCase):
    """The service through a broker."""

    timeout = 60.0

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        self.path = str(folder / "store.sqlite3")
        self.name = self.unique("KeyValueStore")

    def start(self) -> rpc.Worker:
        """Start a worker on the test's file."""
        handler = KeyValueStoreHandler(self.path)
        worker = self.serve(rpc.ThriftService(KeyValueStore, handler, name=self.name))
        self.addCleanup(handler.close)
        return worker

    def store(self, **options: Any) -> Any:
        """A client, when the service answers."""
        return self.client(KeyValueStore, "scan", "", "", 1, name=self.name, **options)

    async def test_carries_binary_values_in_every_protocol(self) -> None:
        """All byte values come back equal, and an empty value is not an absent one."""
        self.start()
        for protocol in ("binary", "compact", "json"):
            store = await self.store(protocol=protocol)
            await store.put("every", EVERY_BYTE * 50)
            await store.put("empty", b"")
            self.assertEqual(await store.get("every"), EVERY_BYTE * 50)
            self.assertEqual(await store.get("empty"), b"")
            self.assertTrue(await store.compareAndSwap("empty", Swap(b"", EVERY_BYTE)))
            page = await store.scan("e", "", 1)
            self.assertEqual(page, Page([Entry("empty", EVERY_BYTE)], "every"))

    async def test_raises_the_exceptions_of_the_idl(self) -> None:
        """The IDL's exceptions arrive as such, with their fields."""
        self.start()
        store = await self.store()
        with self.assertRaises(NotFound) as missing:
            await store.get("nowhere")
        self.assertEqual(missing.exception.key, "nowhere")
        for limit in (0, MAX_SCAN + 1):
            with self.assertRaises(InvalidArgument) as invalid:
                await store.scan("", "", limit)
            self.assertEqual(invalid.exception.argument, "limit")

    async def test_a_worker_that_is_restarted_finds_its_values(self) -> None:
        """The next worker finds the values of the last one."""
        first = self.start()
        store = await self.store()
        await store.put("key", EVERY_BYTE)
        await first.stopService()
        self.start()
        self.assertEqual(await store.get("key"), EVERY_BYTE)

    async def test_races_over_several_workers_lose_no_update(self) -> None:
        """Clients that count under one key, served by workers in turn, lose no count."""
        for _ in range(3):
            self.start()
        store = await self.store()
        await race([store] * RACERS)
        self.assertEqual(await store.get("counter"), b"%d" % (RACERS * INCREMENTS))

    async def test_a_killed_worker_loses_no_answered_write(self) -> None:
        """An answered write is in the file that KVSTORE_PATH names, even if the worker is killed right then."""
        self.address = self.virtual_host()
        environment = {kvstore.PATH_VARIABLE: str(Path(self.path).absolute())}
        arguments = ("rpc-worker", "--broker", self.address, "services.kvstore:service")
        client = (await self.connect()).client(KeyValueStore)
        with WorkerProcess(*arguments, folder=PROJECT, environment=environment) as first:
            first.wait_until_serving("KeyValueStore")
            await client.put("key", EVERY_BYTE)
            first.send(signal.SIGKILL)
            first.wait()
        with WorkerProcess(*arguments, folder=PROJECT, environment=environment) as second:
            second.wait_until_serving("KeyValueStore")
            self.assertEqual(await client.get("key"), EVERY_BYTE)
            second.send(signal.SIGTERM)
            self.assertEqual(second.wait(), -signal.SIGTERM)
        self.assertEqual([path.name for path in Path(self.path).parent.iterdir()], ["store.sqlite3"])
