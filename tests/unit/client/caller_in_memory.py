"""A client's end of calls on a broker in memory, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, cast

from thrift.Thrift import TApplicationException, TMessageType
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from rpc.client.caller import Caller, route_by_service
from rpc.client.options import ClientOptions
from rpc.client.retry import LONGEST_PAUSE
from rpc.client.stub_client import Client
from rpc.context import CallContext, serving
from rpc.envelope import CODECS
from rpc.errors import Outcome
from rpc.messages import Properties
from rpc.stub import Stub
from tests.unit.wire import Published, Wire

Calculator: Any = CalculatorStub

BINARY = CODECS["binary"]


class LinkInMemory:
    """As much of a link as a Caller needs."""

    problem: str | None = None
    refusal: Exception | None = None
    connection: Any = None

    def __init__(self) -> None:
        self.thread: int | None = get_ident()

    def hurry(self, user: Any) -> None:
        """The test opens the next channel."""


class CallerInMemory:
    """A Caller on a wire, and clients on it.

    :ivar subject: the Caller that is tested.
    """

    def __init__(self, route: Any = route_by_service) -> None:
        self.wire = Wire()
        self.link = LinkInMemory()
        self.subject = Caller(cast(Any, self.link), self.wire.clock, route)

    def client(self, **options: Any) -> Any:
        """A client of Calculator."""
        return Client(Stub.of(Calculator), lambda _: self.subject, ClientOptions(**options))

    def open(self) -> None:
        """Give the caller a channel."""
        self.link.connection = self.wire.peer.connection
        self.wire.uncounted = 0
        self.wire.open(self.subject)

    def reply(self, request: Published, result: Any, **changes: Any) -> None:
        """Answer `request` with the struct `result`.

        :param changes: name, kind, seqid, correlation_id, codec or headers, other than a worker would have them.
        """
        codec = changes.get("codec", BINARY)
        header = BINARY.read_header(request.body)
        kind = TMessageType.EXCEPTION if isinstance(result, TApplicationException) else TMessageType.REPLY
        body = codec.encode(
            changes.get("name", header[0]), changes.get("kind", kind), changes.get("seqid", header[2]), result
        )
        self.reply_bytes(request, body, **changes)

    def reply_bytes(self, request: Published, body: bytes, **changes: Any) -> None:
        """Answer `request` with `body`."""
        properties = Properties(
            content_type=changes.get("content_type", request.properties.content_type),
            correlation_id=changes.get("correlation_id", request.properties.correlation_id),
            headers=changes.get("headers"),
        )
        self.wire.deliver(body, properties)

    def leftovers(self) -> list[Any]:
        """Entries of tables, and timers: none, when all calls have settled."""
        pending = self.subject.pending
        found: list[Any] = [*pending.calls, *pending.waiting, *pending.ledger.outstanding()]
        buckets = [*pending.deadlines._buckets.values(), *pending.timers._buckets.values()]
        return found + [bucket for bucket in buckets if bucket]


class RequestTestCase(SynchronousTestCase):
    """A client with a channel."""

    def setUp(self) -> None:
        self.caller = CallerInMemory()
        self.wire = self.caller.wire
        self.caller.open()
        self.client = self.caller.client()

    def request(self) -> Published:
        """The one message published since the last time."""
        (published,) = self.wire.take()
        return published

    def assert_fails(self, fired: list[Any], error: type[Exception], outcome: Outcome | None = None) -> str:
        """The call has settled once, with `error`, and has left nothing behind; returns the message."""
        self.assertEqual(len(fired), 1, fired)
        self.assertIsInstance(fired[0], error)
        if outcome is not None:
            self.assertIs(fired[0].outcome, outcome)
        self.assertEqual(self.caller.leftovers(), [])
        return str(fired[0])


class AttemptTestCase(RequestTestCase):
    """A client whose calls may have further attempts."""

    def again(self) -> Published:
        """Return the next attempt, after its pause."""
        self.assertEqual(self.wire.take(), [])
        self.wire.clock.advance(LONGEST_PAUSE)
        return self.request()

    def lose_channel(self) -> None:
        """Lose the channel and get the next."""
        self.wire.close_channel()
        self.caller.open()

    def keepalive(self, request: Published, instance: str = "worker") -> None:
        """Tell the caller that a worker works on its call."""
        headers: dict[str, Any] = {"rpc-keepalive": instance}
        attempt = (request.properties.headers or {}).get("rpc-attempt")
        self.caller.reply_bytes(request, b"", headers=headers | ({"rpc-attempt": attempt} if attempt else {}))


@contextmanager
def serving_call(context: CallContext) -> Iterator[None]:
    """The block runs as a handler that serves `context`."""
    token = serving.set(context)
    try:
        yield
    finally:
        serving.reset(token)
