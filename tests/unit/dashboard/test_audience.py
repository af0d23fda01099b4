"""Open pages, and the look once a second."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rpc.dashboard.audience import MOST_VIEWERS
from rpc.dashboard.snapshot import BrokerState
from rpc.errors import AMQPError, ConnectionLost, Outcome
from tests.unit.dashboard.readings import counts, reading, service, worker
from tests.unit.dashboard.site import UP, Browser
from tests.unit.dashboard.test_feed import decoded


class AudienceTests(SynchronousTestCase):
    """Viewers of one dashboard."""

    def setUp(self) -> None:
        self.browser = Browser()
        self.clock, self.source = self.browser.clock, self.browser.source

    def events(self, transport: Any) -> list[tuple[str, Any]]:
        """Return the events that have come since the last call. Without the frames of HTTP (RFC 9112, 7.1)."""
        value = transport.value()
        transport.clear()
        if value.startswith(b"HTTP"):
            head, _, value = value.partition(b"\r\n\r\n")
            self.assertIn(b"content-type: text/event-stream", head.lower())
        text = b""
        while value:
            size, _, value = value.partition(b"\r\n")
            text += value[: int(size, 16)]
            value = value[int(size, 16) + 2 :]
        text = text.replace(b"retry: 2000\n\n", b"")
        return [decoded(each + b"\n\n") for each in text.split(b"\n\n")[:-1]]

    def test_nobody_looks_so_nobody_asks(self) -> None:
        """Neither before the first viewer nor after the last one."""
        self.clock.pump([1] * 10)
        self.assertEqual(self.source.looks, 0)
        _, protocol = self.browser.open("/events")
        self.clock.pump([0.5] * 5)
        protocol.connectionLost(Failure(ConnectionDone()))
        looks = self.source.looks
        self.clock.pump([0.5] * 10)
        self.assertEqual(self.source.looks, looks)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_look_a_second_for_all(self) -> None:
        """However many there are."""
        transports = [self.browser.open("/events")[0] for _ in range(20)]
        self.assertEqual(self.source.looks, 1)
        self.clock.pump([0.25] * 20)
        self.assertEqual(self.source.looks, 6)
        self.assertEqual({len(self.events(transport)) for transport in transports}, {6, 7})  # full, and deltas

    def test_a_slow_answer_delays_the_next_look(self) -> None:
        """There is never more than one."""
        self.source.next = Deferred()
        self.browser.open("/events")
        self.clock.pump([1] * 5)
        self.assertEqual(self.source.looks, 1)
        answer, self.source.next = self.source.next, None
        answer.callback(reading(1))
        self.clock.advance(0)
        self.assertEqual(self.source.looks, 2)

    def test_a_viewer_of_a_service_sees_its_methods(self) -> None:
        """The others do not."""
        self.source.next = reading(1, worker("a", service("Ad&der", {"add": counts(1)})))
        everything, _ = self.browser.open("/events")
        one, _ = self.browser.open("/events?service=Ad%26der")
        self.clock.advance(1)
        self.assertNotIn("service", dict(self.events(everything)))
        name, data = self.events(one)[-1]
        self.assertEqual((name, data["name"], data["methods"][0]["name"]), ("service", "Ad&der", "add"))

    def test_a_broker_that_is_away_is_told(self) -> None:
        """Since when, and why; and when it is back. The viewers stay."""
        transport, _ = self.browser.open("/events")
        self.events(transport)
        self.source.state = attrs.evolve(UP, state=BrokerState.AWAY, since=5.0, problem="connection lost")
        for error in (AMQPError("not connected"), ConnectionLost("lost", Outcome.NOT_SENT)):
            self.source.next = Deferred()
            self.source.next.addErrback(lambda failure: failure)
            self.source.next.errback(error)
            self.clock.advance(1)
        events = [data for _, data in self.events(transport)]
        (broker,) = [data["broker"] for data in events if "broker" in data]
        self.assertEqual((broker["state"], broker["since"]), ("away", 5.0))
        self.assertEqual([data["failure"] for data in events if "failure" in data], ["not connected", "lost"])
        self.source.state, self.source.next = UP, None
        self.clock.advance(1)
        back, delta = self.events(transport)
        self.assertEqual(back[1]["broker"]["state"], "up")
        self.assertIn("point", delta[1])
        self.assertIsNone(delta[1]["failure"])

    def test_there_are_so_many_viewers_at_most(self) -> None:
        """Further ones are told so. One that leaves makes room."""
        protocols = [self.browser.open("/events")[1] for _ in range(MOST_VIEWERS)]
        answer = self.browser.get("/events")
        self.assertEqual((answer.status, answer.headers["content-type"]), (503, "text/plain; charset=utf-8"))
        protocols[0].connectionLost(Failure(ConnectionDone()))
        transport, _ = self.browser.open("/events")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 200 "))

    def test_an_error_of_our_own_ends_the_streams(self) -> None:
        """It is logged. The browsers connect again, and the look begins anew. The same applies to an error at once."""
        late: Deferred[Any] = Deferred()
        for answer in (late, fail(ZeroDivisionError())):
            self.source.next = answer
            transport, _ = self.browser.open("/events")
            if answer is late:
                late.errback(ZeroDivisionError())
            self.assertTrue(transport.value().endswith(b"0\r\n\r\n"))
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.source.next = None
            again, protocol = self.browser.open("/events")
            self.clock.advance(1)
            self.assertEqual([name for name, _ in self.events(again)], ["full", "delta", "delta"])
            protocol.connectionLost(Failure(ConnectionDone()))
            self.clock.advance(1)

    def test_close_ends_everything(self) -> None:
        """Streams, and the question that has no answer yet."""
        cancelled: list[Any] = []
        self.source.next = Deferred(cancelled.append)
        transport, _ = self.browser.open("/events")
        self.browser.audience.close()
        self.assertTrue(transport.value().endswith(b"0\r\n\r\n"))
        self.assertEqual(cancelled, [self.source.next])
        self.assertEqual(self.flushLoggedErrors(CancelledError), [])

    def test_looking_at_the_head_of_the_stream_is_no_view(self) -> None:
        """HEAD has an end."""
        self.assertEqual(self.browser.get("/events", method="HEAD").body, b"")
        self.assertEqual(self.source.looks, 0)
