"""The probe: a service that writes down each run of a method, and its stub, compiled when it is first asked for."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
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
    """The methods that were run, with their numbers: lines of a file, which outlives the worker."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()

    def write(self, method: str, number: int) -> None:
        """Note a run, in one write to the file's end, as several processes do."""
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, f"{method} {number}\n".encode())
        finally:
            os.close(descriptor)

    def runs(self, method: str) -> Counter[int]:
        """How often `method` was run, by number."""
        words = (line.split() for line in self.file.read_text().splitlines())
        return Counter(int(number) for name, number in words if name == method)


class Handler:
    """Returns its argument."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def echo(self, number: int, milliseconds: int) -> int | Deferred[int]:
        self._journal.write("echo", number)
        return _later(number, milliseconds)

    def once(self, number: int, milliseconds: int) -> int | Deferred[int]:
        self._journal.write("once", number)
        return _later(number, milliseconds)

    def carry(self, data: bytes) -> bytes:
        return data

    def note(self, number: int) -> None:
        self._journal.write("note", number)

    def crash(self, number: int) -> None:
        self._journal.write("crash", number)
        os._exit(1)


def _later(number: int, milliseconds: int) -> int | Deferred[int]:
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    if not milliseconds:
        return number
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
