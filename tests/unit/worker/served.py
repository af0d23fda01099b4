"""A worker in memory: one service on a channel whose broker is :class:`tests.unit.wire.Wire`."""

from __future__ import annotations

from functools import partial
from threading import get_ident
from typing import Any

from twisted.internet.defer import Deferred

from rpc.amqp.channel import Channel
from rpc.attachment import Attachment
from rpc.worker.consumer import Consumer, ConsumerState
from rpc.worker.dispatcher import Dispatcher
from rpc.worker.reactor_watch import ReactorWatch
from rpc.worker.republisher import Republisher
from rpc.worker.request import Source
from rpc.worker.served import Served
from rpc.worker.server import Server
from rpc.worker.service import ThriftService
from tests.unit.wire import Wire

INSTANCE = "host.1.ab"

OWN, SHARED, QUARANTINE = "c1", "c2", "c3"
"""The consumer tags on the worker's channel, in the order in which it consumes."""


class LinkInMemory:
    """Gives channels of the wire to users, in the next turn of the clock."""

    instance = INSTANCE
    connection = None

    def __init__(self, wire: Wire) -> None:
        self.thread = get_ident()
        self._wire = wire
        self._channels: dict[Any, Channel] = {}

    def attach(self, user: Any) -> None:
        """Open a channel for `user`."""
        self._wire.clock.callLater(0, self._open, user)

    def _open(self, user: Any) -> None:
        self._wire.answer()
        channel = self._wire.peer.channel()
        channel.on_closed = user.lost
        self._channels[user] = channel
        user.opened(channel).addErrback(lambda _: None)

    def hurry(self, user: Any) -> None:
        """Nothing: this link opens no second channel."""

    def detach(self, user: Any) -> None:
        """Close the channel of `user`."""
        self._channels.pop(user).close()


class LinkWithRetries:
    """The part of a link that opens channels again, on the connection of a wire."""

    def __init__(self, wire: Wire) -> None:
        self.instance = INSTANCE
        self.connection = wire.peer.connection
        self._clock = wire.clock
        self._attachments: dict[Any, Attachment] = {}

    def attach(self, user: Any) -> None:
        """Give `user` channels from now on."""
        attachment = self._attachments[user] = Attachment(self._clock, user, lambda _: None)
        attachment.open(self.connection)

    def detach(self, user: Any) -> None:
        """Close the channel of `user`."""
        self._attachments.pop(user).close()

    def hurry(self, user: Any) -> None:
        """Open the next channel of `user` soon."""
        self._attachments[user].hurry()


class WorkerInMemory:
    """One service, served on `wire`.

    :ivar republisher: on a channel of its own, which confirms; without one when it is given.
    """

    def __init__(
        self,
        wire: Wire,
        service: ThriftService,
        handler: Any,
        republisher: Republisher | None = None,
        *,
        opened: bool = True,
        link: Any = None,
    ) -> None:
        self.wire = wire
        self.republisher = republisher or Republisher()
        if republisher is None:
            wire.open_beside(self.republisher)
        link = link or LinkInMemory(wire)
        self.watch = ReactorWatch(wire.clock, lambda: [str(run.label) for run in self.in_progress.requests()])
        self.server = Server(link, self.republisher, wire.clock, lambda heartbeat: None)
        quarantined = partial(self.server.consume_quarantine, service.name)
        self.dispatcher = Dispatcher(
            service, handler, self.server, self.republisher, wire.clock, self.watch, quarantined
        )
        self.in_progress = self.dispatcher.in_progress
        self.limiter = self.dispatcher.limiter
        self.consumer = Consumer(
            service,
            link,
            self.republisher,
            self.dispatcher.deliver,
            partial(self.dispatcher.deliver, source=Source.QUARANTINE),
            self.server,
            lambda: None,
            nested=True,
        )
        self.server.add(Served(service, self.dispatcher, self.consumer))
        if opened:
            self.open()

    def open(self) -> Channel:
        """Open the worker's channel, and let it consume."""
        channel = self.wire.open(self.server)
        self.wire.settle()
        return channel

    @property
    def running(self) -> int:
        """Calls in progress."""
        return self.limiter.running

    @property
    def consuming(self) -> bool:
        """Whether the request queue is consumed."""
        return self.consumer.state is ConsumerState.CONSUMING

    def drain(self, within: float) -> Deferred[Any]:
        """Drain, as a worker does that stops."""
        self.dispatcher.stop_accepting()
        cancelled = self.consumer.stop()
        return cancelled.addCallback(lambda _: self.dispatcher.when_idle(within)).addCallback(self._end)

    def _end(self, _: object) -> None:
        self.server.abandon()
        self.dispatcher.stop()

    def resume(self) -> None:
        """Serve again, from the next channel on."""
        self.dispatcher.resume()
        self.consumer.resume()
