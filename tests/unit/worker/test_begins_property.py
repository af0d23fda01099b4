"""How often requests begin when their workers crash, lose their channels, or stop.

Two workers, made of the code that serves, consume from a broker in memory. Hypothesis lets requests come, handlers
finish, channels end (a blocked reactor, a cut network and an acknowledgement timeout all end so), processes crash with
part of their output unsent, and workers stop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

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
from rpc.errors import ConnectionLost
from rpc.messages import Properties
from rpc.worker.delivery_state import TRANSITIONS, DeliveryState
from rpc.worker.request import Request
from rpc.worker.service import ThriftService
from tests.unit.amqp.peer import METHOD
from tests.unit.machines import machine_settings
from tests.unit.worker.model import DEAD, QUARANTINE, REQUESTS, Message, ModelBroker, WorkerWire
from tests.unit.worker.served import WorkerInMemory
from tests.unit.worker.test_server import Handler

Calculator: Any = CalculatorStub
BINARY = CODECS["binary"]

LIMIT = 3
MOST_CALLS = 6


class Counting(Handler):
    """A handler that notes which calls begin and end.

    :ivar repeated: calls that began while they ran, or when they had run, in this process.
    """

    def __init__(self, begun: Counter[str]) -> None:
        super().__init__()
        self.begun = begun
        self.running: dict[str, Deferred[Any]] = {}
        self.finished: set[str] = set()
        self.repeated: list[str] = []

    def _begin(self) -> Deferred[Any]:
        context = current_call()
        assert context is not None and context.message_id is not None
        name = context.message_id
        self.begun[name] += 1
        if name in self.running or name in self.finished:
            self.repeated.append(name)
        handling: Deferred[Any] = Deferred()
        self.running[name] = handling
        return handling.addBoth(self._end, name)

    def _end(self, result: Any, name: str) -> Any:
        self.running.pop(name, None)
        self.finished.add(name)
        return result

    def calculate(self, logid: int, w: Work) -> Any:
        return self._begin()

    def zip(self) -> Any:
        return self._begin()


class WorkerProcess:
    """One worker, which can lose its channel and its life."""

    def __init__(self, broker: ModelBroker, begun: Counter[str], options: dict[str, Any]) -> None:
        self.wire = WorkerWire(broker)
        self.handler = Counting(begun)
        service = ThriftService(
            CalculatorStub, self.handler, **{"concurrency": 2, "redelivery_limit": LIMIT, **options}
        )
        self.worker = WorkerInMemory(self.wire, service, self.handler)
        self.has_channel = True

    @property
    def unacked(self) -> list[Message]:
        """The messages that the broker has delivered on the channel, and has no ack of."""
        return [message for _, _, message in self.wire.unacked.values()]

    def write_some(self, data: st.DataObject) -> None:
        """The broker gets a part of the last output, up to the end of a frame."""
        frames = self.wire.peer.written()
        methods = [index for index, frame in enumerate(frames) if frame.kind == METHOD] + [len(frames)]
        self.wire.process(frames[: data.draw(st.sampled_from(methods))])

    def cut(self, connection: bool) -> None:
        """The channel ends, alone or with the connection."""
        self.wire.close_channel()
        self.wire.forget()
        self.has_channel = False
        if connection:
            self.worker.republisher.lost(ConnectionLost("cut"))
            self.wire.open_beside(self.worker.republisher)

    def deliver(self, most: int) -> list[Message]:
        """Take up to `most` messages of each queue, and return those that came."""
        if not self.has_channel:
            self.wire.settle()
            self.worker.open()
            self.has_channel = True
        before = set(self.unacked)
        for _ in range(most):
            self.wire.deliver_from(QUARANTINE)
            self.wire.deliver_from(REQUESTS)
        return [message for message in self.unacked if message not in before]


class BeginsMachine(RuleBasedStateMachine):
    """Two workers, and one broker.

    :ivar split: how many further originals of a call there may be. An original and its copy are both there when the
        ack of the original was lost, and the worker that published the copy does not get the original.
    """

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
        self.workers = [self.start(0), self.start(1)]

    def _observe(self, event: dict[str, Any]) -> None:
        if event["isError"]:
            self.errors.append(event)

    def start(self, number: int) -> WorkerProcess:
        """Start a worker in this place."""
        return WorkerProcess(self.broker, self.begun, self.options(number))

    def options(self, number: int) -> dict[str, Any]:
        """The options of the service at the worker in this place."""
        return {"acknowledge": self.acknowledge}

    def draw(self, data: st.DataObject, wanted: Callable[[WorkerProcess], object]) -> WorkerProcess:
        """Draw a worker, of which something is `wanted`."""
        return data.draw(st.sampled_from([worker for worker in self.workers if wanted(worker)]))

    def replace(self, worker: WorkerProcess) -> None:
        """A process ends, and another one begins."""
        for message in worker.unacked:
            self.crashed_with[message.name] += 1
        worker.wire.forget()
        for message, owner in list(self.broker.owners.items()):
            if owner is worker.wire:
                self.disown(message)
        place = self.workers.index(worker)
        self.workers[place] = self.start(place)

    def disown(self, message: Message) -> None:
        """Only the worker that has published the copy knows of it. Elsewhere the original is another request."""
        del self.broker.owners[message]
        self.split[message.name] += 1

    @initialize(oneway=st.lists(st.booleans(), min_size=1, max_size=4))
    def begin_with_calls(self, oneway: list[bool]) -> None:
        for each in oneway:
            self.call(each)

    @precondition(lambda self: len(self.calls) < MOST_CALLS)
    @rule(oneway=st.booleans())
    def call(self, oneway: bool) -> None:
        name = f"call {len(self.calls)}"
        self.calls[name] = oneway
        method, kind = ("zip", TMessageType.ONEWAY) if oneway else ("calculate", TMessageType.CALL)
        arguments = Calculator.zip_args() if oneway else Calculator.calculate_args(1, Work(comment=self.comment()))
        given: dict[str, Any] = {} if oneway else {"reply_to": "amq.gen-replies", "correlation_id": name}
        properties = Properties(message_id=name, **given)
        self.broker.queues[REQUESTS].append(Message(name, properties, BINARY.encode(method, kind, 7, arguments)))

    @precondition(lambda self: self.broker.queues[REQUESTS] or self.broker.queues[QUARANTINE])
    @rule(number=st.integers(0, 1), most=st.integers(1, 4), settles=st.sampled_from([True, True, False]))
    def deliver(self, number: int, most: int, settles: bool) -> None:
        """Deliver messages to a worker, and let it write or not."""
        self.deliver_to(self.workers[number], most, settles)

    def comment(self) -> str | None:
        """An argument of the next call."""
        return None

    def deliver_to(self, worker: WorkerProcess, most: int, settles: bool) -> None:
        for message in worker.deliver(most):
            if self.broker.owners.get(message, worker.wire) is not worker.wire:
                self.disown(message)
        if settles:
            worker.wire.settle()

    @rule(number=st.integers(0, 1), seconds=st.sampled_from([0.0, 0.1, 2.0]))
    def pass_time(self, number: int, seconds: float) -> None:
        """Exchange bytes, and perhaps let a retry come."""
        self.workers[number].wire.clock.advance(seconds)
        self.workers[number].wire.settle()

    @precondition(lambda self: any(worker.handler.running for worker in self.workers))
    @rule(data=st.data(), fails=st.booleans())
    def finish(self, data: st.DataObject, fails: bool) -> None:
        running = [handling for worker in self.workers for handling in worker.handler.running.values()]
        handling = data.draw(st.sampled_from(running))
        handling.errback(ValueError("why")) if fails else handling.callback(1)

    @precondition(lambda self: any(worker.unacked for worker in self.workers))
    @rule(data=st.data(), alone=st.booleans(), finishes=st.booleans(), most=st.integers(0, 4))
    def lose_channel(self, data: st.DataObject, alone: bool, finishes: bool, most: int) -> None:
        """A part of the worker's output is lost with a connection. It may soon get the requests again."""
        worker = self.draw(data, lambda each: each.unacked)
        worker.wire.settle() if alone else worker.write_some(data)
        worker.cut(connection=not alone)
        if finishes and worker.handler.running:
            data.draw(st.sampled_from([*worker.handler.running.values()])).callback(1)
        for _ in range(min(most, 2)):  # the second time, copies come
            self.deliver_to(worker, most, settles=True)

    @precondition(lambda self: any(worker.handler.running for worker in self.workers))
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """A process ends while handlers run."""
        worker = self.draw(data, lambda each: each.handler.running)
        worker.write_some(data)
        self.replace(worker)

    @precondition(lambda self: any(worker.unacked for worker in self.workers))
    @rule(data=st.data(), seconds=st.sampled_from([1.0, 6.0]))
    def stop(self, data: st.DataObject, seconds: float) -> None:
        """A worker drains, for some time, and is replaced. Its abandoned requests come again."""
        worker = self.draw(data, lambda each: each.unacked)
        worker.worker.drain(5.0)
        worker.wire.settle()
        worker.wire.clock.advance(seconds)
        worker.wire.settle()
        self.replace(worker)

    def allowed(self, name: str) -> int:
        """How often a call may begin: each original beside a copy has a count of its own."""
        return (LIMIT + 1) * (1 + self.split[name])

    @invariant()
    def no_request_begins_too_often(self) -> None:
        for name, begins in self.begun.items():
            assert begins <= self.allowed(name), f"{name} began {begins} times"

    @invariant()
    def no_process_begins_a_call_twice(self) -> None:
        """A call that runs is joined, and one that has run is answered again."""
        for worker in self.workers:
            assert not worker.handler.repeated, f"{worker.handler.repeated} began twice in one process"

    @invariant()
    def requests_do_not_multiply(self) -> None:
        """A request is in the queues once, beside originals that are not acked yet or whose worker died."""
        there = [message for queue in (REQUESTS, QUARANTINE) for message in self.broker.queues[queue]]
        there += [message for worker in self.workers for message in worker.unacked]
        for name, count in Counter(message.name for message in there if message not in self.broker.owners).items():
            assert count <= 1 + self.split[name], f"{name} is there {count} times"

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
            assert self.begun[name] or name in dead or self.was_rejected(name), f"{name} was lost"
            assert oneway or name in self.broker.replied or name in dead, f"{name} was not answered"
        assert not self.broker.queues[REQUESTS] and not self.broker.queues[QUARANTINE]
        self.no_request_begins_too_often()
        log.removeObserver(self._observe)
        unexpected = [event for event in self.errors if not isinstance(event["failure"].value, ValueError)]
        assert not unexpected, unexpected

    def was_rejected(self, name: str) -> bool:
        """Whether a worker has rejected a call. All calls fit these workers."""
        return False

    def run_to_the_end(self) -> None:
        """One new worker gets everything, and every handler finishes."""
        for worker in [*self.workers]:
            worker.wire.settle()
            for handling in [*worker.handler.running.values()]:
                handling.callback(1)
            worker.wire.settle()
            self.no_process_begins_a_call_twice()
            self.replace(worker)
        last = self.start(0)
        for _ in range(2000):
            published = any([last.wire.deliver_from(QUARANTINE), last.wire.deliver_from(REQUESTS)])
            last.wire.settle()
            for handling in [*last.handler.running.values()]:
                handling.callback(1)
            last.wire.settle()
            if not published and not last.wire.unacked:
                return
        raise AssertionError("requests go round without end")


class RejectionsMachine(BeginsMachine):
    """Two workers with different options: the second one rejects every other call, as too large."""

    def __init__(self) -> None:
        super().__init__()
        self.broker.on_rejected = self.check_rejected

    def options(self, number: int) -> dict[str, Any]:
        return {"max_message_size": 1000, "concurrency": 1} if number else {}

    def comment(self) -> str | None:
        return "x" * 2000 if len(self.calls) % 2 else None

    def was_rejected(self, name: str) -> bool:
        return name in self.broker.replied

    def check_rejected(self, name: str) -> None:
        """A caller takes such an answer for the promise that the call was not run."""
        assert not self.begun[name], f"{name} was rejected as surely not run, and had begun {self.begun[name]} times"


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
        case.settings = machine_settings(40)
        case().runTest()
        self.flushLoggedErrors(ValueError)

    def test_no_request_begins_more_often_than_its_limit_allows_and_none_is_lost(self) -> None:
        """At least once: a crash, a blocked reactor, a timeout or a cut network ends the runs."""
        self.walk(BeginsMachine)

    def test_no_call_that_may_have_run_is_rejected_as_surely_not_run(self) -> None:
        """Workers with different options, crashes and rejections."""
        self.walk(RejectionsMachine)

    def test_an_at_most_once_request_begins_once(self) -> None:
        """With ``acknowledge="before"`` a redelivered request is never run."""

        class AtMostOnce(BeginsMachine):
            acknowledge = "before"

            def allowed(self, name: str) -> int:
                return 1

        self.walk(AtMostOnce)
