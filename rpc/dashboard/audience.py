"""The open pages, and the look at broker and workers once a second, for all of them together.

While no page is open, there is no look.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import Interface

from rpc import log
from rpc.dashboard.feed import RETRY, Feed
from rpc.dashboard.rates import RateMeter
from rpc.dashboard.readings import Reading
from rpc.dashboard.snapshot import Broker, snapshot_of
from rpc.dashboard.viewer import Viewer
from rpc.errors import AMQPError, RPCError
from rpc.printable import printable

INTERVAL: Final = 1.0
"""Seconds from the begin of a look to that of the next one."""

MOST_VIEWERS: Final = 100
"""Pages that are open at a time."""


class ISource(Interface):
    """Where readings come from."""

    def broker() -> Broker:
        """Return the state of the connection to the broker."""

    def read() -> Deferred[Reading]:
        """Ask the workers and the broker.

        :return: fires with their answers. Fails with :class:`~rpc.errors.AMQPError` or
            :class:`~rpc.errors.RPCError` when the connection is lost. It can be cancelled.
        """


class Audience:
    """The viewers."""

    def __init__(self, clock: Any, source: Any) -> None:
        """:param source: provides :class:`ISource`."""
        self._clock = clock
        self._source = source
        self._feed = Feed()
        self._meter = RateMeter()
        self._viewers: set[Viewer] = set()
        self._looking: Deferred[None] | None = None
        self._broker: Broker | None = None

    def admit(self, request: Request, service: str | None) -> bool:
        """Begin a stream of events for a request.

        :param service: the service whose methods the viewer wants to see.
        :return: whether it began: there may be :data:`MOST_VIEWERS` already.
        """
        if len(self._viewers) >= MOST_VIEWERS:
            return False
        self._tell_broker()
        viewer = Viewer(request, self._clock, service, self._present)
        self._viewers.add(viewer)
        request.write(RETRY)
        viewer.begin(self._viewers.discard)
        if self._looking is None:
            self._looking = Deferred.fromCoroutine(self._look_on())
            self._looking.addBoth(self._looked).addErrback(self._failed)
        return True

    def close(self) -> None:
        """End all streams, and the look."""
        for viewer in list(self._viewers):
            viewer.close()
        if self._looking is not None:
            self._looking.cancel()

    def _looked(self, result: Any) -> Any:
        """Note that the look has ended. An end at once comes before the assignment, so the look cannot do this."""
        self._looking = None
        return result

    def _failed(self, failure: Failure) -> None:
        """End the streams after an error of our own. The browsers connect again, and so the look begins anew."""
        if failure.check(CancelledError):
            return
        log.err(failure, "the dashboard's look has failed")
        for viewer in list(self._viewers):
            viewer.close()

    async def _look_on(self) -> None:
        """Look once a second, as long as there are viewers."""
        self._meter.restart()
        while self._viewers:
            began = self._clock.seconds()
            await self._look()
            left = INTERVAL - (self._clock.seconds() - began)
            await deferLater(self._clock, max(left, 0.0))

    async def _look(self) -> None:
        self._tell_broker()
        try:
            reading = await self._source.read()
        except (AMQPError, RPCError) as error:
            self._tell(self._feed.failed(printable(str(error))))
            self._tell_broker()
        else:
            self._tell(self._feed.snapshot(snapshot_of(reading, self._meter.take(reading))))
            for viewer in list(self._viewers):
                if viewer.service is not None:
                    viewer.send(self._feed.service(viewer.service, begin=False))

    def _tell_broker(self) -> None:
        """Tell the viewers the state of the connection to the broker, when it has changed."""
        broker = self._source.broker()
        if broker != self._broker:
            self._broker = broker
            self._tell(self._feed.broker(broker))

    def _tell(self, event: bytes) -> None:
        for viewer in list(self._viewers):
            viewer.send(event)

    def _present(self, viewer: Viewer) -> bytes:
        """Return the events that tell a viewer everything."""
        service = b"" if viewer.service is None else self._feed.service(viewer.service, begin=True)
        return self._feed.full() + service
