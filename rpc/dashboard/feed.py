"""The events that viewers get, as bytes of ``text/event-stream`` (HTML Living Standard, "Server-sent events"). No I/O.

Each event is encoded once for all viewers. There are three:

- ``full``: everything, for a viewer that begins or has missed events;
- ``delta``: the rows that have changed, and a point of the totals' series;
- ``service``: the methods of the one service that a viewer looks at.

A page of 200 services so gets some kilobytes a second, not all rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from rpc.dashboard.history import History
from rpc.dashboard.snapshot import Broker, BrokerState, Snapshot, as_json

RETRY: Final = b"retry: 2000\n\n"
"""Has the browser wait two seconds before it connects again."""

Rows = dict[str, Any]


def event(name: str, data: Any) -> bytes:
    """Return an event. JSON has no line breaks, so the data is one line."""
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


class Feed:
    """The newest state, and its events."""

    def __init__(self) -> None:
        self._history = History()
        self._head: Rows = {}
        self._services: Rows = {}
        self._workers: Rows = {}
        self._snapshot: Snapshot | None = None
        self._full: bytes | None = None
        self._details: dict[str, bytes] = {}

    def broker(self, broker: Broker) -> bytes:
        """Take a new state of the connection to the broker; return the event ``delta``. Problems of the last answers
        are told no more: they came from the loss of the connection, or are old.
        """
        self._forget_events()
        changed = {"broker": as_json(broker)} | ({} if broker.state is BrokerState.UP else {"problems": []})
        self._head.update(changed)
        return event("delta", changed)

    def failed(self, why: str) -> bytes:
        """Note that nothing could be asked; return the event ``delta``. The next snapshot ends this."""
        self._forget_events()
        self._head["failure"] = why
        return event("delta", {"failure": why})

    def snapshot(self, snapshot: Snapshot) -> bytes:
        """Take a new snapshot; return the event ``delta``."""
        self._forget_events()
        self._history.add(snapshot)
        services = {row.name: as_json(row) for row in snapshot.services}
        workers = {row.instance: as_json(row) for row in snapshot.workers}
        head = {"totals": as_json(snapshot.totals), "problems": list(snapshot.problems), "failure": None}
        delta = {name: value for name, value in head.items() if self._head.get(name) != value}
        delta["services"] = _changed(self._services, services)
        delta["workers"] = _changed(self._workers, workers)
        delta["point"] = self._history.total.last
        self._head.update(head)
        self._services, self._workers, self._snapshot = services, workers, snapshot
        return event("delta", delta)

    def full(self) -> bytes:
        """Return the event ``full``."""
        if self._full is None:
            everything = {**self._head, "services": self._services, "workers": self._workers}
            self._full = event("full", {**everything, "points": self._history.total.points})
        return self._full

    def service(self, name: str, *, begin: bool) -> bytes:
        """Return the event ``service`` of a service; with all points of its series when a viewer begins with it."""
        if begin:
            return event("service", {**self._detail(name), "points": self._history.of(name).points})
        if name not in self._details:
            self._details[name] = event("service", {**self._detail(name), "point": self._history.of(name).last})
        return self._details[name]

    def _detail(self, name: str) -> Rows:
        rows: Iterable[Any] = [] if self._snapshot is None else self._snapshot.methods.get(name, [])
        return {"name": name, "methods": [as_json(row) for row in rows]}

    def _forget_events(self) -> None:
        self._full = None
        self._details.clear()


def _changed(before: Rows, now: Rows) -> Rows:
    """Return the rows that are new or other than before, and ``None`` for those that are gone."""
    changed = {name: row for name, row in now.items() if before.get(name) != row}
    return changed | dict.fromkeys(before.keys() - now.keys())
