"""The worker's channel while it is set up."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator
from rpc.errors import ChannelClosed
from rpc.worker.service import ThriftService
from tests.unit.amqp.peer import method
from tests.unit.wire import Wire
from tests.unit.worker.served import WorkerInMemory
from tests.unit.worker.test_server import Handler


class SettingUpTests(SynchronousTestCase):
    """The outcome that the link is told."""

    def test_a_refused_declaration_fails_with_the_brokers_reason(self) -> None:
        """The link logs an AMQPError in one line, and everything else as an error of this program."""
        wire, handler = Wire(), Handler()
        worker = WorkerInMemory(wire, ThriftService(Calculator, handler), handler, opened=False)
        channel = wire.peer.channel()
        channel.on_closed = worker.server.lost
        opened = worker.server.opened(channel)
        wire.peer.feed(method(channel.id, "channel.close", 403, "ACCESS_REFUSED", 40, 10))
        self.failureResultOf(opened, ChannelClosed)
