"""The keepalives that a worker sends."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from tests.unit.worker.again_case import AgainTestCase
from tests.unit.worker.served import INSTANCE


class LivenessTests(AgainTestCase):
    """Keepalives tell a caller that its call runs."""

    def keepalives(self) -> list[tuple[str, str | None, Any, bytes]]:
        """Return the keepalives sent since the last call."""
        return [
            (sent.routing_key, sent.properties.correlation_id, dict(sent.properties.headers or {}), sent.body)
            for sent in self.wire.take()
        ]

    def test_sends_keepalives_until_the_call_is_answered(self) -> None:
        """At once, then three times in each period that the caller asked for, until the reply is sent."""
        self.request(headers={"rpc-liveness": 3000})
        keepalive = ("amq.gen-replies", "c", {"rpc-keepalive": INSTANCE}, b"")
        self.assertEqual(self.keepalives(), [keepalive])
        for _ in range(5):
            self.wire.clock.advance(1.01)
            self.assertEqual(self.keepalives(), [keepalive])
        self.handler.held[0].callback(1)
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.clock.advance(10)
        self.assertEqual(self.keepalives(), [])

    def test_sends_no_keepalives_that_no_caller_can_use(self) -> None:
        """A call that is answered at once needs none. Without a header, an id or a reply queue there is none."""
        self.request("add", headers={"rpc-liveness": 3000})
        self.wire.take()
        lacking: list[dict[str, Any]] = [{}, {"reply_to": None}, {"correlation_id": None}]
        for given in lacking:
            self.request(headers={"rpc-liveness": 3000} if given else None, **given)
        values: list[Any] = ["soon", -1, True, []]
        for odd in values:
            self.request(headers={"rpc-liveness": odd})
        self.wire.clock.advance(3)
        self.assertEqual(self.keepalives(), [])

    def test_sends_keepalives_with_the_number_of_the_attempt(self) -> None:
        """So the keepalives of an abandoned attempt do not hide that the worker of the next one is silent."""
        self.request(headers={"rpc-liveness": 3000, "rpc-attempt": 2})
        self.assertEqual(self.keepalives()[0][2], {"rpc-keepalive": INSTANCE, "rpc-attempt": 2})

    def test_sends_keepalives_to_each_caller_of_a_call(self) -> None:
        """A later attempt and a redelivery join the run. Each has asked for keepalives of its own."""
        self.serve(deduplicate=True)
        self.request(message_id="m")
        for caller in "ab":
            self.request(message_id="m", correlation_id=caller, again=caller == "b", headers={"rpc-liveness": 3000})
        for seconds in (0, 1.01, 1.01):
            self.wire.clock.advance(seconds)
            self.assertEqual([each[1] for each in self.keepalives()], ["a", "b"])
        self.handler.held[0].callback(1)
        self.wire.take()
        self.wire.clock.advance(10)
        self.assertEqual(self.keepalives(), [])

    def test_sends_no_keepalives_after_the_deadline(self) -> None:
        """The handler ignores its cancellation; the caller has its error already."""

        async def stubborn() -> int:
            try:
                await self.handler.hold()
            except CancelledError:
                await self.handler.hold()
            return 3

        self.handler.answer = stubborn
        self.request("add", expiration="1000", headers={"rpc-liveness": 1000})
        self.wire.clock.advance(1.01)
        self.wire.take()
        self.wire.clock.pump([0.2] * 10)
        self.assertEqual((self.keepalives(), self.worker.running), ([], 1))

    def test_bounds_the_rate_of_keepalives(self) -> None:
        """At most one each third of a second, and one at once, however many the caller asks for."""
        self.request(headers={"rpc-liveness": 1})
        count = len(self.keepalives())
        for _ in range(1000):
            self.wire.clock.advance(0.001)
            count += len(self.keepalives())
        self.assertIn(count, (3, 4))
