"""The channels on which exchanges are looked up and declared are closed, however this ends."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.protocol import AMQPConnection
from rpc.errors import CodecError
from rpc.exchanges import declare_exchanges, unusable_exchanges
from rpc.topology import direct_exchange
from tests.unit.amqp.peer import method, outcome_of
from tests.unit.wire import Wire


class Broker(Wire):
    """A broker with all exchanges, or with none."""

    def __init__(self, *, has_exchanges: bool = True, silent: str = "") -> None:
        """:param silent: the method that is not answered: ``"look-up"`` is the passive ``exchange.declare``."""
        super().__init__()
        self.channel = self.peer.channel()
        self.answer()
        self.channels_before = list(self.peer.connection.channels)
        self._has_exchanges = has_exchanges
        self._silent = silent

    def _agree(self, channel: int, name: str, args: tuple[Any, ...]) -> None:
        if name == "exchange.declare" and args[3]:
            name = "look-up"
        if name == self._silent:
            return
        if name == "look-up" and not self._has_exchanges:
            self.peer.feed(method(channel, "channel.close", 404, "no", 0, 0))
        else:
            super()._agree(channel, "exchange.declare" if name == "look-up" else name, args)


def look_up(connection: AMQPConnection, *names: str) -> Deferred[Any]:
    """Look exchanges up."""
    return unusable_exchanges(connection, names)


def declare(connection: AMQPConnection, *names: str) -> Deferred[Any]:
    """Declare exchanges."""
    return declare_exchanges(connection, [direct_exchange(name) for name in names])


class ExchangesTests(SynchronousTestCase):
    """Both functions, with each end of each of their waits."""

    def assert_ends(self, broker: Broker, ended: Deferred[Any], *errors: type[Exception]) -> None:
        """Let the broker answer, and cancel. The Deferred has fired with one of `errors`, and no channel is left."""
        outcome = outcome_of(ended)
        broker.answer()
        ended.cancel()
        broker.answer()
        (end,) = outcome
        self.assertEqual((type(end),) if isinstance(end, Exception) else (), errors)
        self.assertEqual(list(broker.peer.connection.channels), broker.channels_before)

    def test_close_their_channels_when_they_are_done(self) -> None:
        """With and without the exchanges."""
        for function in (look_up, declare):
            for has_exchanges in (True, False):
                broker = Broker(has_exchanges=has_exchanges)
                self.assert_ends(broker, function(broker.peer.connection, "a", "b"))

    def test_close_their_channels_when_they_are_cancelled(self) -> None:
        """The broker does not answer."""
        for function, silent in (
            (look_up, "channel.open"),
            (look_up, "look-up"),
            (declare, "channel.open"),
            (declare, "look-up"),
            (declare, "exchange.declare"),
        ):
            broker = Broker(has_exchanges=False, silent=silent)
            self.assert_ends(broker, function(broker.peer.connection, "a", "b"), CancelledError)

    def test_close_their_channels_when_a_method_cannot_be_sent(self) -> None:
        """A name is too long for AMQP."""
        for function in (look_up, declare):
            broker = Broker()
            self.assert_ends(broker, function(broker.peer.connection, "a", "x" * 256), CodecError)
