"""A worker notices that its bindings were deleted at the broker, and restores them."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TMessageType
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import Work
from rpc.amqp.codec.properties import encode_properties
from rpc.envelope import CODECS
from rpc.errors import ConnectionClosed
from rpc.messages import Properties
from rpc.worker.binding_watch import PERIOD, BindingWatch, WatchState
from rpc.worker.service import ThriftService
from tests.unit.amqp.peer import content, method
from tests.unit.logs import log_lines
from tests.unit.wire import Wire
from tests.unit.worker.served import INSTANCE, SHARED, LinkWithRetries, WorkerInMemory
from tests.unit.worker.test_server import Handler

Calculator: Any = CalculatorStub

OWN = f"rpc.worker.{INSTANCE}.1"


class WireWithGaps(Wire):
    """A broker that has lost exchanges or bindings.

    :ivar unbound: exchanges that return every message. :ivar missing: those that do not exist. :ivar forbidden: those
        that this user may not publish to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unbound: set[str] = set()
        self.missing: set[str] = set()
        self.forbidden: set[str] = set()
        self._closed: set[int] = set()

    def _note_published(self, channel: int, args: tuple[Any, ...], frames: list[Any]) -> None:
        super()._note_published(channel, args, frames)
        _, exchange, routing_key, _, _ = args
        if exchange in self.forbidden:
            self.refuse(channel, 403)
        elif exchange in self.unbound:
            begin = method(channel, "basic.return", 312, "NO_ROUTE", exchange, routing_key)
            self.peer.feed(begin, *content(channel, b""))

    def _agree(self, channel: int, name: str, args: tuple[Any, ...]) -> None:
        if name == "channel.open":
            self._closed.discard(channel)
        if channel in self._closed:
            return
        if name == "exchange.declare" and args[1] in self.missing:
            self.refuse(channel, 404)
        else:
            super()._agree(channel, name, args)

    def refuse(self, channel: int, code: int, text: str = "no", *ids: int) -> None:
        """Close a channel. :param ids: class and method that have failed."""
        self._closed.add(channel)
        self.peer.feed(method(channel, "channel.close", code, text, *(ids or (0, 0))))


class Link:
    """As much of a link as the watch needs."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection


class WatchTests(SynchronousTestCase):
    """The watch alone, on two exchanges."""

    def setUp(self) -> None:
        self.wire = WireWithGaps()
        self.wire.channel = self.wire.peer.channel()
        self.restored = 0
        self.may_publish = True
        self.restoring: Any = Deferred
        link: Any = Link(self.wire.peer.connection)
        self.watch = BindingWatch(
            link, self.wire.clock, lambda: ["rpc", "rpc.broadcast"], lambda: self.may_publish, self.restore
        )
        self.wire.answer()
        self.wire.methods.clear()
        self.watch.start("own")

    def restore(self) -> Any:
        """Count, and run the test's function."""
        self.restored += 1
        return self.restoring()

    def pass_period(self) -> list[tuple[str, str]]:
        """Let one period pass; return exchange and routing key of the messages that were published."""
        self.wire.clock.advance(PERIOD)
        return [(each.exchange, each.routing_key) for each in self.wire.take()]

    def test_publishes_one_message_to_each_exchange_in_a_period(self) -> None:
        """With the queue's name as routing key."""
        for _ in range(3):
            self.assertEqual(self.pass_period(), [("rpc", "own"), ("rpc.broadcast", "own")])
        self.assertEqual(len(self.wire.taken("channel.open")), 1)
        self.assertEqual((self.restored, self.watch.state), (0, WatchState.PAUSING))

    def test_restores_an_exchange_that_has_lost_its_bindings(self) -> None:
        """Within one period. The next check comes a period after the end of the restoration."""
        self.wire.unbound = {"rpc.broadcast"}
        restoring: Deferred[None] = Deferred()
        self.restoring = lambda: restoring
        self.pass_period()
        self.assertEqual((self.restored, self.watch.state), (1, WatchState.RESTORING))
        self.assertEqual(self.pass_period(), [])
        self.wire.unbound.clear()
        restoring.callback(None)
        self.assertEqual(len(self.pass_period()), 2)
        self.assertEqual((self.restored, self.watch.state), (1, WatchState.PAUSING))

    def test_restores_a_missing_exchange(self) -> None:
        """The check of it closes the channel; the next check opens another."""
        self.wire.missing = {"rpc"}
        self.restoring = lambda: fail(ConnectionClosed(0, "it is refused"))
        self.pass_period()
        self.pass_period()
        self.assertEqual(self.restored, 2)
        self.wire.missing.clear()
        self.assertEqual(len(self.pass_period()), 2)
        self.assertEqual(self.restored, 2)

    def test_logs_each_problem_once_and_a_restoration_when_a_check_has_found_it(self) -> None:
        """An exchange can be missing for hours, with an attempt every two seconds."""
        lines = log_lines(self)
        not_restored = "exchanges and bindings are not restored; an attempt follows every 2 s:"
        restored = "the exchange rpc or its bindings were deleted, and are restored"
        self.wire.missing = {"rpc"}
        for text in ("one", "one", "two"):
            self.restoring = lambda text=text: fail(ConnectionClosed(0, text))
            self.pass_period()
        self.assertEqual(lines, [f"{not_restored} one", f"{not_restored} two"])
        self.restoring = lambda: succeed(None)
        self.pass_period()
        self.assertEqual(len(lines), 2)
        self.wire.missing.clear()
        self.pass_period()
        self.pass_period()
        self.assertEqual(lines[2:], [restored])
        self.wire.missing = {"rpc"}
        self.restoring = lambda: fail(ConnectionClosed(0, "two"))
        self.pass_period()
        self.assertEqual(lines[3:], [f"{not_restored} two"])

    def test_looks_exchanges_up_when_it_may_not_publish_now(self) -> None:
        """A missing exchange is noticed all the same."""
        self.may_publish = False
        self.assertEqual(self.pass_period(), [])
        self.assertEqual([args[1] for args in self.wire.taken("exchange.declare")], ["rpc", "rpc.broadcast"])
        self.wire.missing = {"rpc.broadcast"}
        self.pass_period()
        self.assertEqual(self.restored, 1)

    def test_says_once_that_it_may_not_publish(self) -> None:
        """And looks this exchange up from then on."""
        self.wire.forbidden = {"rpc"}
        lines = log_lines(self)
        for _ in range(3):
            self.pass_period()
        (line,) = lines
        self.assertIn("the worker may not publish to the exchange rpc", line)
        self.assertEqual(self.restored, 0)
        self.wire.missing = {"rpc"}
        self.pass_period()
        self.assertEqual(self.restored, 1)

    def test_checks_nothing_while_the_broker_reads_nothing(self) -> None:
        """Or while there is no connection."""
        self.wire.peer.connection.set_blocked("an alarm")
        self.assertEqual(self.pass_period(), [])
        self.assertEqual(self.wire.taken("exchange.declare"), [])
        self.wire.peer.connection.set_blocked(None)
        self.assertEqual(len(self.pass_period()), 2)

    def test_stops_at_any_time(self) -> None:
        """No timer, no channel and no answer is left."""
        self.wire.clock.advance(PERIOD)  # the answers of this check do not come
        self.watch.stop()
        self.wire.answer()
        self.assertEqual((self.wire.clock.getDelayedCalls(), self.watch.state), ([], WatchState.STOPPED))
        self.watch.start("own")
        self.pass_period()
        self.watch.stop()
        self.wire.answer()
        self.assertEqual(sorted(self.wire.peer.connection.channels), [0, self.wire.channel.id])
        self.assertEqual(self.wire.clock.getDelayedCalls(), [])


class ServiceExchangeTests(SynchronousTestCase):
    """The watch of a worker whose service has an exchange of its own, which an operator declares."""

    def setUp(self) -> None:
        self.wire = WireWithGaps()
        handler = Handler()
        service = ThriftService(Calculator, handler, exchange="billing")
        link: Any = LinkWithRetries(self.wire)
        self.worker = WorkerInMemory(self.wire, service, handler, link=link)
        self.lines = log_lines(self)

    def pass_seconds(self, seconds: int) -> None:
        """Let time pass in small steps, in each of which the broker answers."""
        for _ in range(seconds * 10):
            self.wire.clock.advance(0.1)
            self.wire.answer()

    def test_logs_once_that_it_is_missing_and_once_that_it_is_restored(self) -> None:
        """While it is missing, an attempt to declare it follows in every period."""
        self.wire.missing = {"billing"}
        self.pass_seconds(60)
        (line,) = self.lines
        self.assertIn("channel lost, another one is opened in", line)
        self.wire.missing.clear()
        self.wire.unbound = {"billing"}
        self.wire.methods.clear()
        self.pass_seconds(3)
        self.wire.unbound.clear()
        self.assertIn((OWN, "billing", OWN), [args[1:4] for args in self.wire.taken("queue.bind")])
        self.pass_seconds(10)
        self.assertEqual(self.lines[1:], ["the exchange billing or its bindings were deleted, and are restored"])
        self.assertTrue(self.worker.consuming)


class WorkerTests(SynchronousTestCase):
    """The watch of a worker with one service."""

    def setUp(self) -> None:
        self.wire = WireWithGaps()
        self.handler = Handler()
        self.worker = WorkerInMemory(self.wire, ThriftService(Calculator, self.handler), self.handler)
        link: Any = self.worker.server._link
        link.connection = self.wire.peer.connection
        self.bound = sorted(args[1:4] for args in self.wire.taken("queue.bind"))
        self.wire.methods.clear()

    def request(self, name: str, kind: int, arguments: Any) -> None:
        """Deliver a request."""
        reply_to = None if kind == TMessageType.ONEWAY else "amq.gen-replies"
        properties = Properties(correlation_id="c", message_id="m", reply_to=reply_to)
        self.wire.deliver(CODECS["binary"].encode(name, kind, 7, arguments), encode_properties(properties), SHARED)
        self.wire.answer()

    def probes(self) -> list[str]:
        """Let one period pass; return the exchanges to which the own queue's name was published."""
        self.wire.clock.advance(PERIOD)
        return [each.exchange for each in self.wire.take() if each.routing_key == OWN]

    def test_binds_everything_again(self) -> None:
        """The same bindings as at the start, and no second consumer."""
        self.wire.unbound = {"rpc"}
        self.probes()
        self.wire.unbound.clear()
        self.wire.settle()
        self.assertEqual(sorted(args[1:4] for args in self.wire.taken("queue.bind")), self.bound)
        self.assertIn((OWN, "rpc", OWN), self.bound)
        self.assertEqual(self.wire.taken("basic.consume"), [])
        self.assertTrue(self.worker.consuming)

    def test_publishes_nothing_while_it_runs_oneway_requests_alone(self) -> None:
        """During an alarm, the first message would block the acks of the worker: its queue would not get empty."""
        self.assertEqual(self.probes(), ["rpc", "rpc.broadcast"])
        self.handler.answer = self.handler.hold
        self.request("zip", TMessageType.ONEWAY, Calculator.zip_args())
        self.assertEqual(self.probes(), [])
        self.handler.held.pop().callback(None)
        self.assertEqual(self.probes(), [])
        self.assertEqual(self.probes(), ["rpc", "rpc.broadcast"])

    def test_publishes_while_it_replies(self) -> None:
        """A reply would be blocked as well."""
        self.request("calculate", TMessageType.CALL, Calculator.calculate_args(1, Work()))
        self.assertEqual(self.probes(), [])
        self.request("add", TMessageType.CALL, Calculator.add_args(1, 2))
        self.assertEqual(self.probes(), ["rpc", "rpc.broadcast"])

    def test_does_not_check_after_it_has_left(self) -> None:
        """Its bindings are gone by its own will."""
        self.worker.server.leave()
        self.wire.answer()
        self.assertEqual((self.probes(), self.worker.server.watch.state), ([], WatchState.STOPPED))
