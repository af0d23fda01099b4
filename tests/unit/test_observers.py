"""Events that are no calls reach the interceptors that observe them."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

import rpc
from generated.calculator import Calculator
from rpc.interceptors import ClientInterceptor, WorkerInterceptor
from rpc.observers import IObserver, observers_among, tell_all
from rpc.observers import Observer as SilentObserver
from rpc.worker.reactor_watch import ReactorWatch
from services.calculator import CalculatorHandler
from tests.unit.amqp.peer import method
from tests.unit.test_link import LinkTestCase


@implementer(IObserver)
class Observer(ClientInterceptor, WorkerInterceptor):
    """Notes the events of calls.

    :ivar fails: whether it then fails, with ``error``.
    """

    fails = False
    error: BaseException = ZeroDivisionError()

    def __init__(self) -> None:
        self.told: list[Any] = []

    def _note(self, *event: Any) -> None:
        self.told.append(event)
        if self.fails:
            raise self.error

    def observe(self, source: Any) -> None:
        self._note("observe", source)

    def connected(self) -> None:
        self._note("connected")

    def disconnected(self) -> None:
        self._note("disconnected")

    def blocked(self, reason: str | None) -> None:
        self._note("blocked", reason)

    def reactor_late(self, seconds: float) -> None:
        self._note("late", seconds)


class LinkEventTests(LinkTestCase):
    """Events of a link."""

    def setUp(self) -> None:
        super().setUp()
        self.observer = Observer()
        self.link.observers.append(self.observer)

    def test_tells_of_connections_and_blocked_times(self) -> None:
        """A connection that is lost is blocked no longer."""
        socket = self.connect()
        socket.feed(method(0, "connection.blocked", "memory"))
        socket.feed(method(0, "connection.unblocked"))
        socket.feed(method(0, "connection.blocked", "disk"))
        socket.lose()
        self.reconnect()
        self.assertEqual(
            self.observer.told,
            [
                ("connected",),
                ("blocked", "memory"),
                ("blocked", None),
                ("blocked", "disk"),
                ("blocked", None),
                ("disconnected",),
                ("connected",),
            ],
        )

    def test_an_error_of_an_observer_changes_nothing(self) -> None:
        """It is logged."""
        self.observer.fails, self.observer.error = True, SystemExit()
        self.connect()
        self.assertIsNotNone(self.link.connection)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)


class SourceTests(SynchronousTestCase):
    """Connections and workers tell the observers among their interceptors."""

    def test_an_observer_gets_each_source_once(self) -> None:
        """Also if it is given to a worker and its services."""
        observer = Observer()
        self.assertTrue(verifyObject(IObserver, observer))
        connection = rpc.Connection("amqp://localhost", interceptors=[observer, ClientInterceptor()])
        self.assertEqual(observer.told, [("observe", connection)])
        observer.told.clear()
        service = rpc.ThriftService(Calculator, CalculatorHandler(), interceptors=[observer], concurrency=3)
        worker = rpc.Worker("amqp://localhost", [service], interceptors=[observer])
        self.assertEqual(observer.told, [("observe", worker)])
        self.assertEqual((worker.loads["Calculator"].concurrency, worker.loads["Calculator"].running), (3, 0))
        self.assertEqual(connection.pending_calls(), {})

    def test_other_interceptors_are_told_nothing(self) -> None:
        """They need none of the methods."""
        self.assertEqual(observers_among([ClientInterceptor()], None), [])

    def test_an_observer_writes_the_methods_that_it_needs(self) -> None:
        """The base class has all of them, and they do nothing."""
        self.assertTrue(verifyObject(IObserver, SilentObserver()))
        (silent,) = observers_among([SilentObserver()], None)
        for event, *arguments in (("connected",), ("blocked", None), ("disconnected",), ("reactor_late", 0.1)):
            tell_all([silent], event, *arguments)

    def test_the_watch_tells_how_late_the_reactor_is(self) -> None:
        """At each look, also when it is not late."""
        clock, now = Clock(), [0.0]
        watch = ReactorWatch(clock, list, lambda: now[0])
        observer = Observer()
        watch.observers.append(observer)
        watch.start(4.0)
        for seconds in (1.0, 1.5):
            now[0] += seconds
            clock.advance(1.0)
        watch.stop()
        self.assertEqual(observer.told, [("late", 0.0), ("late", 0.5)])
