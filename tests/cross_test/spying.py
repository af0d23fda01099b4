"""Sees the requests to some services."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pika

PATIENCE = 20.0
"""Seconds that a call may take."""


class Spy:
    """A consumer that gets a copy of every request to some services.

    It consumes from the beginning: copies that wait in a queue would expire, as requests do.
    """

    HEADER = "case"
    """The header of a request that has the name of its case."""

    def __init__(self, url: str, services: Iterable[str]) -> None:
        self._requests: dict[str, bytes] = {}
        self._connection = pika.BlockingConnection(pika.URLParameters(f"{url}/%2F"))
        channel = self._connection.channel()
        queue: str = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_consume(queue, self._note, auto_ack=True)
        for service in services:
            channel.queue_bind(queue, "rpc", service)

    def _note(self, _channel: object, _delivered: object, properties: pika.BasicProperties, body: bytes) -> None:
        name = (properties.headers or {}).get(self.HEADER)
        if name is not None:
            self._requests[name] = body

    def read(self) -> None:
        """Take the messages that have arrived."""
        self._connection.process_data_events(time_limit=0)

    def requests(self, names: set[str]) -> dict[str, bytes]:
        """Return the bodies of the requests of these cases: those that come within the time of a call."""
        until = time.monotonic() + PATIENCE
        while not names <= self._requests.keys() and time.monotonic() < until:
            self._connection.process_data_events(time_limit=0.1)
        return self._requests

    def __enter__(self) -> Spy:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
