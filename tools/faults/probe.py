"""The probe: a service that writes down each run of a method, and its stub, compiled when it is first asked for."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred

import rpc
from rpc.compiler import compile_idl, install

IDL = Path(__file__).with_name("probe.thrift")
STUBS_VARIABLE, OPTIONS_VARIABLE, JOURNAL_VARIABLE = "PROBE_STUBS", "PROBE_OPTIONS", "PROBE_JOURNAL"

_made: list[TemporaryDirectory[str]] = []  # until the process ends: stubs are imported from it


@cache
def stubs_folder() -> str:
    """Where the stubs are: a parent process has compiled them, or this one does."""
    folder = os.environ.get(STUBS_VARIABLE)
    if folder is None:
        _made.append(TemporaryDirectory(prefix="probe-"))
        folder = _made[-1].name
        install(Path(folder, "probe_stubs"), compile_idl([IDL]).files)
    sys.path.append(folder)
    return folder


@cache
def stub() -> Any:
    """The stub module."""
    stubs_folder()
    importlib.invalidate_caches()
    return importlib.import_module("probe_stubs.probe.Probe")


class Journal:
    """The methods that were run, with their numbers and processes: lines of a file, which outlives the worker."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()

    def write(self, method: str, number: int) -> None:
        """Note a run, in one write to the file's end, as several processes do."""
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, f"{method} {number} {os.getpid()}\n".encode())
        finally:
            os.close(descriptor)

    def runs(self, method: str) -> Counter[int]:
        """How often `method` was run, by number."""
        return Counter(number for name, number, _ in self._lines() if name == method)

    def most_at_once(self, begun: str, ended: str) -> int:
        """The most runs of one number that one process had between `begun` and `ended` at any time."""
        running: Counter[tuple[int, str]] = Counter()
        most = 0
        for name, number, process in self._lines():
            if name in (begun, ended):
                running[number, process] += 1 if name == begun else -1
                most = max(most, running[number, process])
        return most

    def _lines(self) -> Iterator[tuple[str, int, str]]:
        for line in self.file.read_text().splitlines():
            name, number, process = line.split()
            yield name, int(number), process


class Handler:
    """Returns its argument."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def echo(self, number: int, milliseconds: int) -> int | Deferred[int]:
        self._journal.write("echo", number)
        return _at_once_or_later(number, milliseconds)

    def once(self, number: int, milliseconds: int) -> int | Deferred[int]:
        self._journal.write("once", number)
        return _at_once_or_later(number, milliseconds)

    def carry(self, data: bytes) -> bytes:
        return data

    def note(self, number: int) -> None:
        self._journal.write("note", number)

    async def work(self, number: int, milliseconds: int) -> int:
        self._journal.write("work", number)
        try:
            return await _later(number, milliseconds)
        finally:
            self._journal.write("worked", number)

    def block(self, number: int, milliseconds: int) -> None:
        self._journal.write("block", number)
        time.sleep(milliseconds / 1000)

    def quit(self, number: int) -> None:
        self._journal.write("quit", number)
        os._exit(1)

    def crash(self, number: int) -> None:
        self._journal.write("crash", number)
        os._exit(1)


def _at_once_or_later(number: int, milliseconds: int) -> int | Deferred[int]:
    return _later(number, milliseconds) if milliseconds else number


def _later(number: int, milliseconds: int) -> Deferred[int]:
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    clock: Any = reactor
    answer: Deferred[int] = deferLater(clock, milliseconds / 1000, _same, number)
    return answer


def _same(number: int) -> int:
    return number


def make_service(journal: Journal, **options: Any) -> rpc.ThriftService:
    """A service of the probe."""
    return rpc.ThriftService(stub(), Handler(journal), **options)


def __getattr__(name: str) -> rpc.ThriftService:
    """``tools.faults.probe:service`` is the service that the environment describes, for ``twistd rpc-worker``."""
    if name != "service":
        raise AttributeError(name)
    return make_service(Journal(Path(os.environ[JOURNAL_VARIABLE])), **json.loads(os.environ[OPTIONS_VARIABLE]))


def variables(journal: Journal, options: dict[str, Any]) -> dict[str, str]:
    """The environment's variables for a process whose ``service`` is to have these options."""
    return {
        STUBS_VARIABLE: stubs_folder(),
        OPTIONS_VARIABLE: json.dumps(options),
        JOURNAL_VARIABLE: str(journal.file),
    }


Ask = Callable[[int], "Deferred[Any]"]
"""Makes a call that carries a number, and whose answer is to be this number."""
