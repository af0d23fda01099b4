"""A service without a request queue, on a worker's channel in memory. Hostile requests leave nothing behind."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TMessageType
from twisted.trial.unittest import SynchronousTestCase

from rpc.control.names import NAME
from rpc.control.serving import MOST_A_SECOND, MOST_AT_ONCE, ControlOptions, control_options, control_service
from rpc.control.stubs.control import Control as ControlStub
from rpc.envelope import CODECS
from rpc.errors import ConfigurationError
from rpc.messages import Properties
from rpc.topology import BROADCAST, REQUESTS
from rpc.worker.assembly import Assembly
from rpc.worker.reactor_watch import ReactorWatch
from rpc.worker.republisher import Republisher
from rpc.worker.server import Server
from tests.unit.control.test_handler import Facts
from tests.unit.wire import Wire
from tests.unit.worker.served import INSTANCE, OWN, LinkInMemory

BINARY = CODECS["binary"]
STUB: Any = ControlStub
REPLY_TO = Properties(reply_to="amq.gen-replies", correlation_id="c")
DIRECT = f"{NAME}@{INSTANCE}"


class DirectServiceTests(SynchronousTestCase):
    """The control service alone on a worker's channel."""

    def setUp(self) -> None:
        self.wire = Wire()
        republisher = Republisher()
        self.wire.open_beside(republisher)
        link: Any = LinkInMemory(self.wire)
        watch = ReactorWatch(self.wire.clock, list)
        server = Server(link, republisher, self.wire.clock, lambda heartbeat: None)
        assembly = Assembly(link, server, republisher, self.wire.clock, watch, (), lambda: None)
        self.service = control_service(Facts([]), ControlOptions())
        assembly.serve_direct(self.service)
        self.wire.open(server)
        self.wire.settle()

    def ask(
        self,
        name: str = "ping",
        key: str = NAME,
        properties: Properties = REPLY_TO,
        kind: int = TMessageType.CALL,
        body: bytes | None = None,
        exchange: str = BROADCAST,
    ) -> None:
        """Deliver a question to the worker's own queue."""
        struct = getattr(STUB, f"{name}_args")()
        whole = BINARY.encode(name, kind, 7, struct) if body is None else body
        self.wire.deliver(whole, properties, OWN, False, key, exchange)

    def replies(self) -> list[int]:
        """Return the types of the replies since the last call; nothing else was published."""
        published = self.wire.take()
        self.assertEqual({each.routing_key for each in published} - {"amq.gen-replies"}, set())
        return [BINARY.read_header(each.body)[1] for each in published]

    def test_declares_no_queue_but_the_workers_own(self) -> None:
        self.assertEqual([args[1] for args in self.wire.taken("queue.declare")], [f"rpc.worker.{INSTANCE}.1"])
        keys = [(exchange, key) for _, _, exchange, key, *_ in self.wire.taken("queue.bind")]
        self.assertEqual([each for each in keys if each[1].startswith(NAME)], [(BROADCAST, DIRECT), (BROADCAST, NAME)])

    def test_answers_by_each_of_its_keys(self) -> None:
        for exchange, key in ((BROADCAST, NAME), (BROADCAST, DIRECT), (REQUESTS, DIRECT)):
            self.ask(key=key, exchange=exchange)
            (reply,) = self.wire.take()
            self.assertEqual((reply.properties.correlation_id, reply.properties.headers), ("c", {"instance": INSTANCE}))

    def test_keeps_no_dead_letters(self) -> None:
        """They would need queues of their own, and a peer could fill these."""
        for hostile in (
            {"body": b"no message"},
            {"body": b"no message", "properties": Properties()},
            {"properties": Properties(reply_to="amq.direct", correlation_id="c")},
            {"kind": 9},
            {"body": BINARY.encode("shutdown", TMessageType.ONEWAY, 7, STUB.ping_args()), "properties": Properties()},
        ):
            self.ask(**hostile)
        self.wire.settle()
        self.assertEqual(self.replies(), [TMessageType.EXCEPTION] * 2)
        self.assertEqual(self.wire.taken("queue.declare")[1:], [])
        self.wire.settle()
        acked = {args[0] for args in self.wire.taken("basic.ack")}
        self.assertEqual(max(acked), self.wire.last_tag)

    def test_answers_so_many_a_second_and_refuses_more(self) -> None:
        for _ in range(MOST_AT_ONCE + 5):
            self.ask()
        kinds = self.replies()
        self.assertEqual(kinds.count(TMessageType.REPLY), MOST_AT_ONCE)
        self.assertEqual(kinds[-5:], [TMessageType.EXCEPTION] * 5)
        self.wire.clock.advance(1)
        for _ in range(MOST_A_SECOND + 1):
            self.ask()
        self.assertEqual(self.replies(), [*[TMessageType.REPLY] * MOST_A_SECOND, TMessageType.EXCEPTION])

    def test_ignores_cancellations_and_announcements(self) -> None:
        for kind in ("rpc.cancel", "rpc.quarantine"):
            self.wire.deliver(b"", Properties(type=kind), OWN, False, NAME, BROADCAST)
        self.assertEqual(self.replies(), [])
        self.ask()
        self.assertEqual(self.replies(), [TMessageType.REPLY])


class OptionTests(SynchronousTestCase):
    """The option ``control`` of a worker."""

    def test_is_a_truth_value_or_options(self) -> None:
        given = ControlOptions(allow="ada")
        self.assertEqual([control_options(value) for value in (True, False, given)], [ControlOptions(), None, given])
        for wrong in (None, 1, "ada"):
            with self.assertRaisesRegex(ConfigurationError, "control="):
                control_options(wrong)

    def test_a_wrong_rule_is_refused_where_it_is_given(self) -> None:
        for wrong, words in ((3, "allow=3: must be "), ({"pong": "ada"}, "rpc.control has no method pong; it has ")):
            with self.assertRaisesRegex(ConfigurationError, words):
                ControlOptions(allow=wrong)
