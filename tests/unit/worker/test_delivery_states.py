"""Every delivery is settled once, in every order of the events of a worker."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from thrift.Thrift import TMessageType
from twisted.python import log
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import InvalidOperation, Work
from rpc.context import CallContext, current_call
from rpc.envelope import CODECS
from rpc.errors import Overloaded
from rpc.interceptors import WorkerInterceptor
from rpc.messages import Properties
from rpc.topology import NESTED
from rpc.worker.call import WorkerCall
from rpc.worker.service import Deduplicate, ThriftService
from tests.unit.wire import Wire
from tests.unit.worker.served import INSTANCE, OWN, QUARANTINE, SHARED, WorkerInMemory
from tests.unit.worker.test_server import Handler

Calculator: Any = CalculatorStub
BINARY = CODECS["binary"]


class DeliveryMachine(RuleBasedStateMachine):
    """The events of one worker.

    Requests are new, repeated, redelivered, nested, cancelled or malformed. Handlers return, fail, or wait for nested
    calls. Time passes, channels are lost, the broker nacks copies, and the worker stops.

    :ivar open: the tags delivered on the present channel that are not settled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Any] = []
        log.addObserver(self._observe)
        self.wire = Wire()
        self.handler = Handler()
        self.handler.calculate = self.calculate  # type: ignore[method-assign]
        self.contexts: list[CallContext] = []
        service = ThriftService(
            CalculatorStub,
            self.handler,
            concurrency=2,
            redelivery_limit=2,
            deduplicate=Deduplicate(count=2),
            interceptors=self.interceptors(),
        )
        self.worker = WorkerInMemory(self.wire, service, self.handler)
        self.open: set[int] = set()
        self.wire.methods.clear()
        self.has_channel = True
        self.stopped: Any = None

    def interceptors(self) -> list[Any]:
        """The interceptors of the service."""
        return []

    def calculate(self, logid: int, w: Work) -> Any:
        """Wait for the test."""
        context = current_call()
        assert context is not None
        self.contexts.append(context)
        return self.handler.hold()

    def _observe(self, event: dict[str, Any]) -> None:
        if event["isError"]:
            self.errors.append(event)

    @property
    def has_ended(self) -> bool:
        """Whether the worker has drained. Then it acks nothing: the connection closes."""
        return self.stopped is not None and self.stopped.called

    def open_channel(self) -> None:
        """Open a channel. Deliveries on the last one need no ack any more."""
        self.wire.answer()
        self.worker.open()
        self.open.clear()
        self.wire.methods.clear()
        self.has_channel = True

    @precondition(lambda self: self.has_channel)
    @rule(
        name=st.sampled_from(["add", "calculate", "zip"]),
        consumer=st.sampled_from([OWN, SHARED, QUARANTINE]),
        nested=st.booleans(),
        again=st.booleans(),
        message_id=st.sampled_from([None, "a", "b", "c"]),
        deliveries=st.integers(0, 3),
        expiration=st.sampled_from([None, "500", "60000"]),
        liveness=st.sampled_from([None, 1000]),
        replied=st.booleans(),
    )
    def deliver(
        self,
        name: str,
        consumer: str,
        nested: bool,
        again: bool,
        message_id: str | None,
        deliveries: int,
        expiration: str | None,
        liveness: int | None,
        replied: bool,
    ) -> None:
        if self.has_ended or (self.stopped is not None and consumer != OWN):
            return  # its connection is closing, or its consumers were cancelled
        arguments = {"calculate": (1, Work()), "add": (1, 2)}.get(name, ())
        struct = getattr(Calculator, f"{name}_args")(*arguments)
        headers = {"rpc-deliveries": deliveries or None, "rpc-liveness": liveness}
        properties = Properties(
            headers={key: value for key, value in headers.items() if value},
            reply_to="amq.gen-replies" if replied else None,
            correlation_id="c",
            expiration=expiration,
            message_id=message_id,
        )
        body = BINARY.encode(name, TMessageType.ONEWAY if name == "zip" else TMessageType.CALL, 7, struct)
        key = f"Calculator@{INSTANCE}{NESTED if nested else ''}" if consumer == OWN else "Calculator"
        self.note(body, properties, consumer, again and consumer != OWN, key)

    @precondition(lambda self: self.has_channel and self.stopped is None)
    @rule(body=st.sampled_from([b"", b"junk"]), encoded=st.sampled_from([b"\x00\x00", b"\xff\xff"]))
    def deliver_junk(self, body: bytes, encoded: bytes) -> None:
        self.note(body, encoded, SHARED, False, "Calculator")

    @precondition(lambda self: self.has_channel and not self.has_ended)
    @rule(ids=st.sampled_from(["a", "b\nc", ""]))
    def cancel_calls(self, ids: str) -> None:
        self.note(ids.encode(), Properties(type="rpc.cancel"), OWN, False, f"Calculator@{INSTANCE}")

    def note(self, body: bytes, properties: Properties | bytes, consumer: str, again: bool, key: str) -> None:
        """Deliver, and note the tag."""
        self.open.add(self.wire.last_tag + 1)
        self.wire.deliver(body, properties, consumer, again, key)

    @precondition(lambda self: self.handler.held)
    @rule(data=st.data(), fails=st.booleans())
    def finish(self, data: st.DataObject, fails: bool) -> None:
        held = self.handler.held.pop(data.draw(st.integers(0, len(self.handler.held) - 1)))
        if not held.called:
            held.errback(InvalidOperation(1, "why")) if fails else held.callback(1)

    @precondition(lambda self: self.contexts)
    @rule(data=st.data())
    def wait_for_nested(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.contexts)).enter()

    @precondition(lambda self: any(context.waits for context in self.contexts))
    @rule(data=st.data())
    def end_nested(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from([context for context in self.contexts if context.waits])).leave()

    @rule(seconds=st.sampled_from([0.0, 0.2, 1.0]))
    def advance(self, seconds: float) -> None:
        self.wire.clock.advance(seconds)

    @rule(refuses=st.booleans())
    def refuse_beside(self, refuses: bool) -> None:
        self.wire.refuses_beside = refuses

    @precondition(lambda self: self.has_channel)
    @rule()
    def lose_channel(self) -> None:
        self.wire.close_channel()
        self.has_channel = False
        self.open.clear()

    @precondition(lambda self: not self.has_channel)
    @rule()
    def reopen_channel(self) -> None:
        self.open_channel()

    @precondition(lambda self: self.stopped is None)
    @rule()
    def stop(self) -> None:
        self.stopped = self.worker.drain(1000.0)
        self.wire.answer()

    @invariant()
    def each_settles_once(self) -> None:
        if self.has_channel:
            self.wire.clock.advance(0)
        for tag, multiple in self.wire.taken("basic.ack"):
            settled = {each for each in self.open if each <= tag} if multiple else {tag}
            assert settled and settled <= self.open, "settled twice, or before it came"
            self.open -= settled
        for tag, _ in self.wire.taken("basic.reject"):
            assert tag in self.open, "settled twice"
            self.open.remove(tag)
        self.wire.published.clear()
        assert not self.errors, self.errors

    def teardown(self) -> None:
        self.wire.refuses_beside = False
        for context in self.contexts:
            while context.waits:
                context.leave()
        for _ in range(200):
            while self.handler.held:
                held = self.handler.held.pop()
                if not held.called:
                    held.callback(1)
            self.wire.clock.advance(1.0)
            self.each_settles_once()
        limiter, in_progress = self.worker.limiter, self.worker.in_progress
        assert self.open == set(), "never settled"
        assert (limiter.running, limiter.waiting) == (0, 0)
        assert not limiter.held and not limiter.held_nested
        assert [len(in_progress), len(in_progress._deadlines), len(in_progress._keepalives)] == [0, 0, 0]
        assert self.stopped is None or self.stopped.called
        log.removeObserver(self._observe)


class Deciding(WorkerInterceptor):
    """Admits a call, refuses it, or waits for the test; notes how often each call was told of.

    :ivar plan: its actions on the next calls.
    :ivar open: the calls that were admitted and have not ended.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.plan: list[str] = []
        self.open: set[WorkerCall] = set()

    def before(self, call: WorkerCall) -> Any:
        plan = self.plan.pop() if self.plan else "admit"
        if plan == "refuse":
            raise Overloaded("no")
        if plan == "wait":
            return self._handler.hold().addCallback(lambda _: self._admit(call))
        return self._admit(call)

    def _admit(self, call: WorkerCall) -> None:
        self.open.add(call)

    def after(self, call: WorkerCall) -> None:
        self.open.remove(call)

    def failed(self, call: WorkerCall) -> None:
        self.open.remove(call)

    def rejected(self, call: WorkerCall) -> None:
        assert call not in self.open


class InterceptedMachine(DeliveryMachine):
    """The same with an interceptor: it is told once of the end of each call that it has admitted."""

    def interceptors(self) -> list[Any]:
        self.deciding = Deciding(self.handler)
        return [self.deciding]

    def _observe(self, event: dict[str, Any]) -> None:
        """An exception of the IDL that refuses a request without a reply queue has no receiver: it is logged."""
        if "refused by an error of an interceptor" not in str(event.get("why")):
            super()._observe(event)

    @rule(plan=st.lists(st.sampled_from(["admit", "refuse", "wait"]), max_size=3))
    def plan(self, plan: list[str]) -> None:
        self.deciding.plan = plan

    def teardown(self) -> None:
        super().teardown()
        execution: Any = self.worker.dispatcher._execution
        assert (self.deciding.open, execution._seen) == (set(), {})


class InterceptedOrderTests(InterceptedMachine.TestCase, SynchronousTestCase):  # type: ignore[misc, valid-type]
    """Every delivery settles exactly once, and interceptors are told once, in any order of events."""

    settings = settings(max_examples=80, stateful_step_count=40)

    def tearDown(self) -> None:
        """Take the refusals that the machine allows: trial counts every logged error as a failure."""
        self.flushLoggedErrors(InvalidOperation)


class OrderTests(DeliveryMachine.TestCase, SynchronousTestCase):  # type: ignore[misc, valid-type]
    """Every delivery settles exactly once, in any order of events."""

    settings = settings(max_examples=80, stateful_step_count=40)
