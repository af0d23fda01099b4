"""How often requests begin when their workers crash, lose their channels, or stop.

Two workers, made of the code that serves, consume from a broker in memory. Hypothesis lets requests come, handlers
finish, channels end (a blocked reactor, a cut network and an acknowledgement timeout all end so), processes crash with
part of their output unsent, and workers stop.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from thrift.Thrift import TMessageType
from twisted.internet.defer import Deferred
from twisted.python import log
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator as CalculatorStub
from generated.calculator.ttypes import Work
from rpc.context import current_call
from rpc.envelope import CODECS
from rpc.messages import Properties
from rpc.worker.delivery_state import TRANSITIONS, DeliveryState
from rpc.worker.request import Request
from rpc.worker.service import ThriftService
from tests.unit.amqp.peer import METHOD
from tests.unit.worker.model import DEAD, QUARANTINE, REQUESTS, Message, ModelBroker, WorkerWire
from tests.unit.worker.served import WorkerInMemory
from tests.unit.worker.test_server import Handler

Calculator: Any = CalculatorStub
BINARY = CODECS["binary"]

LIMIT = 3
EXAMPLES = int(os.environ.get("RPC_EXAMPLES", "100"))


class Counting(Handler):
    """A handler that notes which calls begin and end."""

    def __init__(self, begun: Counter[str]) -> None:
        super().__init__()
        self.begun = begun
        self.running: dict[str, Deferred[Any]] = {}

    def _begin(self) -> Deferred[Any]:
        context = current_call()
        assert context is not None and context.message_id is not None
        name = context.message_id
        self.begun[name] += 1
        assert name not in self.running, f"{name} runs twice in one worker"
        handling: Deferred[Any] = Deferred()
        self.running[name] = handling
        return handling.addBoth(self._end, name)

    def _end(self, result: Any, name: str) -> Any:
        del self.running[name]
        return result

    def calculate(self, logid: int, w: Work) -> Any:
        return self._begin()

    def zip(self) -> Any:
        return self._begin()


class WorkerProcess:
    """One worker, which can lose its channel and its life."""

    def __init__(self, broker: ModelBroker, begun: Counter[str], acknowledge: str) -> None:
        self.wire = WorkerWire(broker)
        self.handler = Counting(begun)
        service = ThriftService(
            CalculatorStub, self.handler, concurrency=2, redelivery_limit=LIMIT, acknowledge=acknowledge
        )
        self.worker = WorkerInMemory(self.wire, service, self.handler)
        self.has_channel = True

    def cut(self) -> None:
        """The channel ends. The broker has read all output of the worker."""
        self.wire.settle()
        self.wire.close_channel()
        self.wire.forget()
        self.has_channel = False

    def reopen(self) -> None:
        """The link opens the channel again."""
        self.wire.settle()
        self.worker.open()
        self.has_channel = True


class BeginsMachine(RuleBasedStateMachine):
    """Two workers, and one broker."""

    acknowledge = "after"

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Any] = []
        log.addObserver(self._observe)
        self.broker = ModelBroker()
        self.begun: Counter[str] = Counter()
        self.crashed_with: Counter[str] = Counter()
        self.split: Counter[str] = Counter()
        self.calls: dict[str, bool] = {}  # whether it is oneway
        self.workers = [self.start(), self.start()]

    def _observe(self, event: dict[str, Any]) -> None:
        if event["isError"]:
            self.errors.append(event)

    def start(self) -> WorkerProcess:
        return WorkerProcess(self.broker, self.begun, self.acknowledge)

    @initialize(oneway=st.lists(st.booleans(), min_size=2, max_size=4))
    def begin_with_calls(self, oneway: list[bool]) -> None:
        for each in oneway:
            self.call(each)

    @rule(oneway=st.booleans())
    def call(self, oneway: bool) -> None:
        name = f"call {len(self.calls)}"
        self.calls[name] = oneway
        method, kind = ("zip", TMessageType.ONEWAY) if oneway else ("calculate", TMessageType.CALL)
        arguments = Calculator.zip_args() if oneway else Calculator.calculate_args(1, Work())
        given: dict[str, Any] = {} if oneway else {"reply_to": "replies", "correlation_id": name}
        properties = Properties(message_id=name, **given)
        self.broker.queues[REQUESTS].append(Message(name, properties, BINARY.encode(method, kind, 7, arguments)))

    @precondition(lambda self: self.broker.queues[REQUESTS] or self.broker.queues[QUARANTINE])
    @rule(number=st.integers(0, 1), most=st.integers(1, 4), settles=st.booleans())
    def deliver(self, number: int, most: int, settles: bool) -> None:
        """Deliver up to `most` messages to a worker, and let it write or not."""
        worker = self.workers[number]
        if not worker.has_channel:
            worker.reopen()
        for _ in range(most):
            worker.wire.deliver_from(QUARANTINE)
            worker.wire.deliver_from(REQUESTS)
        if settles:
            worker.wire.settle()

    @rule(number=st.integers(0, 1))
    def exchange_bytes(self, number: int) -> None:
        self.workers[number].wire.settle()

    @precondition(lambda self: any(worker.handler.running for worker in self.workers))
    @rule(data=st.data(), fails=st.booleans())
    def finish(self, data: st.DataObject, fails: bool) -> None:
        running = [handling for worker in self.workers for handling in worker.handler.running.values()]
        handling = data.draw(st.sampled_from(running))
        handling.errback(ValueError("why")) if fails else handling.callback(1)

    @rule(number=st.integers(0, 1), reopens=st.booleans())
    def lose_channel(self, number: int, reopens: bool) -> None:
        if self.workers[number].has_channel:
            self.workers[number].cut()
        if reopens and not self.workers[number].has_channel:
            self.workers[number].reopen()

    @rule(number=st.integers(0, 1), data=st.data())
    def crash(self, number: int, data: st.DataObject) -> None:
        """The process ends. The broker gets a part of its last output, up to the end of a frame."""
        worker = self.workers[number]
        frames = worker.wire.peer.written()
        methods = [index for index, frame in enumerate(frames) if frame.kind == METHOD] + [len(frames)]
        worker.wire.process(frames[: data.draw(st.sampled_from(methods))])
        waiting = [*self.broker.names(REQUESTS), *self.broker.names(QUARANTINE), *self.broker.names(DEAD)]
        for _, _, message in worker.wire.unacked.values():
            self.crashed_with[message.name] += 1
            if message.name in waiting:
                self.split[message.name] += 1  # original and copy are both there: the ack was not sent
        worker.wire.forget()
        self.workers[number] = self.start()

    @rule(number=st.integers(0, 1), seconds=st.sampled_from([1.0, 6.0]))
    def stop(self, number: int, seconds: float) -> None:
        """A worker drains, for some time, and is replaced. The broker requeues its unacked requests."""
        worker = self.workers[number]
        worker.worker.drain(5.0)
        worker.wire.settle()
        worker.wire.clock.advance(seconds)
        worker.wire.settle()
        for _, _, message in worker.wire.unacked.values():
            self.crashed_with[message.name] += 1
        worker.wire.forget()
        self.workers[number] = self.start()

    @rule(number=st.integers(0, 1), seconds=st.sampled_from([0.1, 2.0]))
    def advance(self, number: int, seconds: float) -> None:
        self.workers[number].wire.clock.advance(seconds)

    def allowed(self, name: str) -> int:
        """How often a call may begin. A crash in the round trip between a copy's confirm and the original's ack leaves
        both, each with a count of its own.
        """
        return (LIMIT + 1) * (1 + self.split[name])

    @invariant()
    def no_request_begins_too_often(self) -> None:
        for name, begins in self.begun.items():
            assert begins <= self.allowed(name), f"{name} began {begins} times"

    @invariant()
    def a_dead_letter_has_been_begun_or_lost_often(self) -> None:
        """A request that waited in a worker whose channel was lost, and never began, is not counted."""
        for name in self.broker.names(DEAD):
            assert self.begun[name] + self.crashed_with[name] > 0 or self.acknowledge == "before"

    def teardown(self) -> None:
        self.run_to_the_end()
        dead = self.broker.names(DEAD)
        for name, oneway in self.calls.items():
            if self.acknowledge == "before":
                continue
            assert self.begun[name] or name in dead, f"{name} was lost"
            assert oneway or name in self.broker.replied or name in dead, f"{name} was not answered"
        assert not self.broker.queues[REQUESTS] and not self.broker.queues[QUARANTINE]
        self.no_request_begins_too_often()
        log.removeObserver(self._observe)
        unexpected = [event for event in self.errors if not isinstance(event["failure"].value, ValueError)]
        assert not unexpected, unexpected

    def run_to_the_end(self) -> None:
        """One new worker gets everything, and every handler finishes."""
        for worker in self.workers:
            worker.wire.settle()
            for name in [*worker.handler.running]:
                worker.handler.running[name].callback(1)
            worker.wire.settle()
            worker.wire.forget()
        last = self.start()
        for _ in range(2000):
            published = any([last.wire.deliver_from(QUARANTINE), last.wire.deliver_from(REQUESTS)])
            last.wire.settle()
            for handling in [*last.handler.running.values()]:
                handling.callback(1)
            last.wire.settle()
            if not published and not last.wire.unacked:
                return
        raise AssertionError("requests go round without end")


class WatchedRequest(Request):
    """A request that checks its transitions against the table."""

    __slots__ = ("_state",)

    @property
    def state(self) -> DeliveryState:
        return self._state

    @state.setter
    def state(self, state: DeliveryState) -> None:
        before = getattr(self, "_state", None)
        assert before is None or state in TRANSITIONS[before], (before, state)
        SEEN.add((before, state))
        self._state = state


SEEN: set[tuple[DeliveryState | None, DeliveryState]] = set()


class BeginsTests(SynchronousTestCase):
    """The property, for both kinds of acknowledgement."""

    def walk(self, machine: type[BeginsMachine]) -> None:
        """Let hypothesis walk the machine."""
        self.patch(__import__("rpc.worker.dispatcher", fromlist=["Request"]), "Request", WatchedRequest)
        case: Any = machine.TestCase
        case.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
        case().runTest()
        self.flushLoggedErrors(ValueError)

    def test_no_request_begins_more_often_than_its_limit_allows_and_none_is_lost(self) -> None:
        """At least once: a crash, a blocked reactor, a timeout or a cut network ends the runs."""
        self.walk(BeginsMachine)

    def test_an_at_most_once_request_begins_once(self) -> None:
        """With ``acknowledge="before"`` a redelivered request is never run."""

        class AtMostOnce(BeginsMachine):
            acknowledge = "before"

            def allowed(self, name: str) -> int:
                return 1

        self.walk(AtMostOnce)
