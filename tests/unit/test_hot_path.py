"""The path of a call, counted: a change that makes it longer fails here, independent of the machine's load.

Counted on one call of ``i32 add(i32, i32)`` after a hundred others: calls of Python functions, Deferreds, writes to the
transport, and objects that stay. When a bound is broken, find the added functions before you raise the bound.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from prometheus_client import CollectorRegistry
from thrift.Thrift import TMessageType
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

import rpc
from generated.calculator import Calculator as CalculatorStub
from rpc.amqp.codec.properties import encode_properties
from rpc.client import caller
from rpc.envelope import CODECS
from rpc.interceptors import ClientInterceptor, WorkerInterceptor
from rpc.messages import Properties
from rpc.metrics import ClientMetrics, WorkerMetrics
from rpc.worker.service import ThriftService
from services.calculator import CalculatorHandler
from tests.unit.amqp.peer import content, method
from tests.unit.client.caller_in_memory import CallerInMemory
from tests.unit.wire import Wire
from tests.unit.worker.served import WorkerInMemory

Calculator: Any = CalculatorStub
BINARY = CODECS["binary"]

CLIENT_FUNCTIONS = 40
"""Calling and being answered, the confirm included; generated code and Twisted's Deferred as well."""

WORKER_FUNCTIONS = 50
"""From the delivery to reply and ack, the handler included. Three are the price of named states and of one decision a
delivery: the decision, taking a slot, and remembering the reply for a redelivery.
"""

INTERCEPTED_CLIENT_FUNCTIONS = 48
INTERCEPTED_WORKER_FUNCTIONS = 59
"""The same with one interceptor that has a ``before``. Without one, a call has none of these functions."""

REJECTED_FUNCTIONS = 104
"""From a malformed request to its answer and its dead letter. A peer can send as many of them as calls, so they must
not cost a multiple.
"""

COUNTED_CLIENT_FUNCTIONS = 44
COUNTED_WORKER_FUNCTIONS = 54
"""The same with metrics, which are told of ends alone."""

BEFORE = 100
"""Calls that fill the caches first."""

CALLS = 200
"""Calls of a test, at most. Their ids are drawn before the first one is counted."""


def count_functions(run: Callable[[], object]) -> Counter[CodeType]:
    """Return the Python functions that `run` calls, with how often."""
    counted: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            counted[frame.f_code] += 1

    before = sys.getprofile()
    gc.disable()  # a collection calls functions of other libraries, hypothesis' among them
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(before)
        gc.enable()
    del counted[next(iter(counted))]  # `run` itself, the first
    return counted


def described(counted: Counter[CodeType]) -> str:
    """The functions, most called first."""
    return "".join(
        f"\n{times:3} {code.co_name} ({code.co_filename}:{code.co_firstlineno})"
        for code, times in counted.most_common()
    )


def with_cells(counted: Counter[CodeType]) -> list[str]:
    """The functions of the package that make cells at each call, for a lambda that is rarely made, if ever."""
    package = str(Path(rpc.__file__).parent)
    return [code.co_name for code in counted if code.co_cellvars and code.co_filename.startswith(package)]


class WriteCounter:
    """Stands before a transport and counts its writes."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.writes = 0
        self._write = write

    def __call__(self, data: bytes) -> None:
        self.writes += 1
        self._write(data)


class AskedClient(ClientInterceptor):
    """Admits each call."""

    def before(self, call: Any) -> None:
        pass


class AskedWorker(WorkerInterceptor):
    """Admits each call."""

    def before(self, call: Any) -> None:
        pass


class ClientPathTests(SynchronousTestCase):
    """The caller's side."""

    def setUp(self) -> None:
        self.caller = CallerInMemory()
        self.caller.open()
        self.client = self.caller.client()
        self.number = 0
        ids = map(b"\x20%032d".__mod__, count(1))
        self.patch(caller, "random_ids", lambda: [*islice(ids, CALLS)][::-1])
        self.feed = self.caller.wire.peer.connection.dataReceived
        for _ in range(BEFORE):
            self.call()

    def incoming(self) -> bytes:
        """Return the bytes that the broker sends for the next call: its confirm, and its reply."""
        self.number += 1
        body = BINARY.encode("add", TMessageType.REPLY, self.number, Calculator.add_result(3))
        properties = Properties(
            content_type=BINARY.content_type,
            delivery_mode=1,
            correlation_id=f"{self.number:032}",
            expiration="4999",
            message_id=f"{self.number:032}",
            type="Calculator.add",
        )
        channel = self.caller.wire.channel.id
        deliver = method(channel, "basic.deliver", "c1", self.number, False, "", "amq.gen-replies")
        confirm = method(channel, "basic.ack", self.number, False)
        return b"".join([confirm, deliver, *content(channel, body, properties=encode_properties(properties))])

    def call(self) -> list[int]:
        """One call, from its beginning to its end."""
        incoming = self.incoming()
        answers: list[int] = []
        self.client.add(1, 2).addCallback(answers.append)
        self.feed(incoming)
        return answers

    def test_a_call_stays_below_the_bound_of_functions(self) -> None:
        """Python functions called for one call, and one Deferred among them."""
        incoming = self.incoming()
        answers: list[int] = []

        def run() -> None:
            self.client.add(1, 2).addCallback(answers.append)
            self.feed(incoming)

        counted = count_functions(run)
        self.assertEqual(answers, [3])
        self.assertLessEqual(counted.total(), CLIENT_FUNCTIONS, described(counted))
        self.assertEqual(with_cells(counted), [])
        self.assertEqual(counted[Deferred.__init__.__code__], 1)

    def test_an_interceptor_adds_a_bounded_number_of_functions(self) -> None:
        """And no Deferred. A client beside it, without interceptors, calls no function more."""
        plain = self.client
        for client, bound in (
            (self.caller.client(interceptors=[AskedClient()]), INTERCEPTED_CLIENT_FUNCTIONS),
            (self.caller.client(interceptors=[ClientMetrics(CollectorRegistry())]), COUNTED_CLIENT_FUNCTIONS),
            (plain, CLIENT_FUNCTIONS),
        ):
            self.client = client
            self.call()
            incoming = self.incoming()

            def run(client: Any = client, incoming: bytes = incoming) -> None:
                client.add(1, 2)
                self.feed(incoming)

            counted = count_functions(run)
            self.assertLessEqual(counted.total(), bound, described(counted))
            self.assertEqual(counted[Deferred.__init__.__code__], 1)

    def test_a_request_is_a_single_write(self) -> None:
        """Its three frames are written at once."""
        connection = self.caller.wire.peer.connection
        connection.write = counter = WriteCounter(connection.transport.write)
        self.assertEqual(self.call(), [3])
        self.assertEqual(counter.writes, 1)

    def test_a_settled_call_leaves_no_objects(self) -> None:
        """A settled call leaves no object behind."""
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(BEFORE):
            self.call()
        gc.collect()
        self.assertLess(len(gc.get_objects()) - before, BEFORE / 10)
        self.assertEqual(self.caller.leftovers(), [])


class WorkerPathTests(SynchronousTestCase):
    """The worker's side."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, **options: Any) -> None:
        """Serve, and fill the caches."""
        self.wire = Wire()
        handler = CalculatorHandler()
        WorkerInMemory(self.wire, ThriftService(CalculatorStub, handler, **options), handler)
        self.number = 0
        self.feed = self.wire.peer.connection.dataReceived
        for _ in range(BEFORE):
            self.serve()
        self.wire.peer.transport.clear()

    def incoming(self, body: bytes | None = None, headers: dict[str, Any] | None = None) -> bytes:
        """The next request, as our client sends it; or with another body, and headers."""
        self.number += 1
        body = body or BINARY.encode("add", TMessageType.CALL, self.number, Calculator.add_args(1, 2))
        properties = Properties(
            content_type=BINARY.content_type,
            headers=headers,
            delivery_mode=1,
            correlation_id=str(self.number),
            reply_to="amq.gen-replies",
            expiration="5000",
            message_id=f"0123456789abcdef.{self.number}",
            type="Calculator.add",
        )
        channel = self.wire.channel.id
        deliver = method(channel, "basic.deliver", "c2", self.number, False, "rpc", "Calculator")
        return b"".join([deliver, *content(channel, body, properties=encode_properties(properties))])

    def serve(self) -> None:
        """One request, from its delivery to its ack."""
        self.feed(self.incoming())
        self.wire.clock.advance(0)

    def test_serving_stays_below_the_bound_of_functions(self) -> None:
        """Python functions called for one request whose handler returns a value, and no Deferred among them."""
        incoming = self.incoming()

        def run() -> None:
            self.feed(incoming)

        counted = count_functions(run)
        self.wire.clock.advance(0)
        self.assertEqual(len(self.wire.take()), 1)
        self.assertLessEqual(counted.total(), WORKER_FUNCTIONS, described(counted))
        self.assertEqual(with_cells(counted), [])
        self.assertEqual(counted[Deferred.__init__.__code__], 0)

    def test_an_interceptor_adds_a_bounded_number_of_functions(self) -> None:
        """And no Deferred."""
        for interceptor, bound in (
            (AskedWorker(), INTERCEPTED_WORKER_FUNCTIONS),
            (WorkerMetrics(CollectorRegistry()), COUNTED_WORKER_FUNCTIONS),
        ):
            self.begin(interceptors=[interceptor])
            incoming = self.incoming()

            def run(incoming: bytes = incoming) -> None:
                self.feed(incoming)

            counted = count_functions(run)
            self.assertLessEqual(counted.total(), bound, described(counted))
            self.assertEqual(counted[Deferred.__init__.__code__], 0)

    def test_a_rejection_calls_a_bounded_number_of_functions(self) -> None:
        """However many headers the request has: none of them is decoded when there are too many."""
        few: dict[str, Any] = {"tenant": "a"}
        many = {str(number): number for number in range(3000)}
        for headers in (few, few, many, few):
            incoming = self.incoming(b"malformed", headers)

            def run(incoming: bytes = incoming) -> None:
                self.feed(incoming)

            counted = count_functions(run)
            self.assertEqual(len(self.wire.take()), 2)
            if headers is many:  # by now, the caches are full
                self.assertLessEqual(counted.total(), REJECTED_FUNCTIONS, described(counted))
        self.assertLessEqual(counted.total(), REJECTED_FUNCTIONS, described(counted))

    def test_the_output_for_one_read_is_a_single_write(self) -> None:
        """Ten replies and the ack of their requests."""
        transport: Any = self.wire.peer.transport
        transport.write = counter = WriteCounter(transport.write)
        self.feed(b"".join(self.incoming() for _ in range(10)))
        self.assertEqual(counter.writes, 1)
        self.assertEqual((len(self.wire.take()), self.wire.taken("basic.ack")), (10, [(BEFORE + 10, True)]))
        self.wire.clock.advance(0)
        self.assertEqual(counter.writes, 1)

    def test_an_answered_request_leaves_no_objects(self) -> None:
        """An answered request leaves no object behind."""
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(BEFORE):
            self.serve()
        self.wire.peer.transport.clear()
        gc.collect()
        self.assertLess(len(gc.get_objects()) - before, BEFORE / 10)
