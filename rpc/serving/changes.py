"""Watches the folders of a program's modules, for ``--reload``."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool

from rpc import log
from rpc.errors import ConfigurationError


class Changes(Service):
    """Calls a function when a Python file in one of the folders changes."""

    def __init__(self, reactor: Any, folders: Iterable[str], on_change: Callable[[], None]) -> None:
        """:raises ConfigurationError: the watching library is not installed."""
        try:
            import watchfiles  # noqa: PLC0415  # an extra
        except ImportError:
            raise ConfigurationError(
                "--reload needs watchfiles, which is not installed: pip install 'thrift-amqp-rpc[reload]'"
            ) from None
        self._reactor = reactor
        self._folders = list(folders)
        self._on_change = on_change
        self._watch = watchfiles.watch
        self._filter = watchfiles.PythonFilter()
        self._stop = Event()
        self._stopped: Deferred[None] = succeed(None)

    def startService(self) -> None:
        """Watch from now on, in a thread."""
        super().startService()
        log.msg(f"reloading when a Python file changes in {', '.join(self._folders)}")
        watching = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._run)
        self._stopped = watching.addErrback(
            lambda failure: log.err(failure, "while watching for changes; there are no more restarts")
        )

    def _run(self) -> None:
        for changes in self._watch(*self._folders, watch_filter=self._filter, stop_event=self._stop):
            self._reactor.callFromThread(self._changed, sorted(path for _, path in changes))

    def _changed(self, paths: list[str]) -> None:
        if self.running:
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            log.msg(f"{paths[0]}{more} changed")
            self._on_change()

    def stopService(self) -> Deferred[None]:
        """Fires when the thread has ended."""
        super().stopService()
        self._stop.set()
        return self._stopped


def folders_of(services: Iterable[str]) -> list[str]:
    """Return the current folder, and those of the packages of ``MODULE:SERVICE`` that are elsewhere.

    Nothing is imported: a module may not even parse just now.
    """
    folders = [os.getcwd()]
    for name in services:
        package = name.partition(":")[0].partition(".")[0]
        try:
            found = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            continue
        if found is None:
            continue
        places = list(found.submodule_search_locations or [])
        if found.origin is not None and not places:
            places = [os.path.dirname(found.origin)]
        folders += [place for place in map(os.path.realpath, places) if not _is_in_one_of(place, folders)]
    return folders


def _is_in_one_of(place: str, folders: list[str]) -> bool:
    return any(Path(place).is_relative_to(os.path.realpath(folder)) for folder in folders)
