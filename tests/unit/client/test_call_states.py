"""Calls go through their states as the table says, and each settles once, in any order of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from thrift.Thrift import TApplicationException, TMessageType
from twisted.python import log
from twisted.trial.unittest import SynchronousTestCase

from rpc.client import attempts as attempts_module
from rpc.client import caller as caller_module
from rpc.client.call import Call
from rpc.client.call_state import TRANSITIONS, CallEvent, CallState
from rpc.client.retry import LONGEST_PAUSE
from rpc.errors import Outcome, RPCError
from rpc.messages import Properties
from tests.unit.amqp.peer import method, outcome_of
from tests.unit.client.caller_in_memory import BINARY, Calculator, CallerInMemory, serving_call
from tests.unit.client.test_nested import context
from tests.unit.wire import Published

Row = tuple[CallState, CallEvent, CallState]

ROWS: set[Row] = {
    (state, event, following)
    for state, events in TRANSITIONS.items()
    for event, followings in events.items()
    for following in followings
}

BY_STATE = {
    CallState.SENT: CallEvent.PUBLISHED,
    CallState.WAITING_FOR_CHANNEL: CallEvent.NO_CHANNEL,
    CallState.OVERDUE: CallEvent.SILENCE,
    CallState.PAUSED: CallEvent.ATTEMPT_FAILED,
}
"""Events that are known by the state they lead to."""


class Observer:
    """Notes the transitions of the calls of a Caller."""

    def __init__(self, subject: Any) -> None:
        self.rows: set[Row] = set()
        self.ids: list[str] = []
        self._events: list[CallEvent] = []
        attempts, keepalives = subject._attempts, subject._keepalives
        self._during(CallEvent.CANCELLED, subject, "cancel")
        self._during(CallEvent.DEADLINE, subject.pending.deadlines, "_expired")
        self._during(CallEvent.CLOSED, attempts, "close")
        self._during(CallEvent.ATTEMPT_FAILED, attempts, "fail_all")
        self._during(CallEvent.KEEPALIVE, keepalives, "received")
        for name in ("missed", "expect_anew"):
            self._during(CallEvent.BLOCKED, keepalives, name)

    def _during(self, event: CallEvent, owner: Any, name: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def noting(*arguments: Any, **keywords: Any) -> Any:
            self._events.append(event)
            try:
                return function(*arguments, **keywords)
            finally:
                self._events.pop()

        setattr(owner, name, noting)

    def note(self, before: CallState, after: CallState) -> None:
        """Note a transition."""
        event = BY_STATE.get(after)
        if event is None:
            event = self._events[-1] if self._events else CallEvent.ANSWERED
        row = before, event, after
        assert row in ROWS, row
        self.rows.add(row)


class ObservedCall(Call):
    """A call whose transitions are noted by the observer of its owner."""

    def __init__(self, owner: Any, *rest: Any) -> None:
        super().__init__(owner, *rest)
        owner.observer.ids.append(self.id[1:].decode())

    @property
    def state(self) -> CallState:
        """Where the call is."""
        return self._state

    @state.setter
    def state(self, state: CallState) -> None:
        before: CallState | None = getattr(self, "_state", None)
        self._state = state
        if before is not None:
            owner: Any = self.owner
            owner.observer.note(before, state)


def observed(route: Any) -> tuple[CallerInMemory, Observer]:
    """Return a caller whose calls are observed."""
    caller = CallerInMemory(route)
    subject: Any = caller.subject
    observer = subject.observer = Observer(subject)
    return caller, observer


class TableTests(SynchronousTestCase):
    """Every row of the table, reached by a real call."""

    def setUp(self) -> None:
        self.patch(caller_module, "Call", ObservedCall)
        self.patch(attempts_module, "pause_before", lambda repetition: 0.041)

    def play(self, state: CallState, event: CallEvent, following: CallState) -> set[Row]:
        """Bring a call into `state`, and let `event` happen; return the rows that were seen."""
        self.key: str | None = "Calculator"
        self.caller, self.observer = observed(lambda operation: self.key)
        self.wire = self.caller.wire
        self.caller.open()
        again = following is CallState.PAUSED or state is CallState.PAUSED or event is CallEvent.PUBLISHED
        timeout = 60.0
        if event is CallEvent.DEADLINE:  # in the tick of the other timer, whose end the deadline then comes before
            timeout = {CallState.OVERDUE: 2.005, CallState.PAUSED: 0.049}.get(state, timeout)
        self.client = self.caller.client(
            retry=again, idempotent=["ping"] if again else [], liveness=2.0, timeout=timeout
        )
        if state is CallState.NEW:
            self.prepare(event)
            self.call()
        else:
            self.call(with_route=state is not CallState.WAITING_FOR_CHANNEL)
            if state is CallState.OVERDUE:
                self.keepalive()
                self.wire.clock.advance(1.9)  # the broker has been asked about the queue
                self.wire.clock.callLater(0.103, self.happen, state, event, following)
                self.wire.clock.advance(1.1 if event is CallEvent.DEADLINE else 0.11)
            else:
                if state is CallState.WATCHED:
                    self.keepalive()
                elif state is CallState.PAUSED:
                    self.wire.confirm(1, refuse=True)
                self.happen(state, event, following)
        return self.observer.rows

    def call(self, with_route: bool = True) -> None:
        """Make a nested call."""
        self.key = "Calculator" if with_route else None
        with serving_call(context()):
            self.made = self.client.ping()
        self.fired = outcome_of(self.made)

    def prepare(self, event: CallEvent) -> None:
        """Have the next call meet `event` at once."""
        if event is CallEvent.NO_CHANNEL:
            self.wire.close_channel()
        elif event is CallEvent.ATTEMPT_FAILED:
            self.wire.peer.feed(method(0, "connection.blocked", "low on memory"))

    def keepalive(self) -> None:
        """Have a worker tell that it works on the call."""
        request = Published("", "", False, self.properties(), b"")
        self.caller.reply_bytes(request, b"", headers={"rpc-keepalive": "w"})

    def properties(self) -> Any:
        """Return the properties by which the call is found."""
        return Properties(correlation_id=self.observer.ids[0], content_type=BINARY.content_type)

    def reply(self, body: bytes) -> None:
        """Answer the call."""
        self.caller.reply_bytes(Published("", "", False, self.properties(), b""), body)

    def happen(self, state: CallState, event: CallEvent, following: CallState) -> None:
        """Let `event` happen to a call in `state`."""
        clock = self.wire.clock
        if event is CallEvent.PUBLISHED:
            self.key = "Calculator"
            self.caller.subject.send_waiting()
            clock.advance(LONGEST_PAUSE)
        elif event is CallEvent.NO_CHANNEL:
            self.key = None
            self.caller.subject.send_waiting()
            clock.advance(LONGEST_PAUSE)
        elif event is CallEvent.KEEPALIVE:
            self.keepalive()
        elif event is CallEvent.SILENCE:
            clock.advance(2.01)
        elif event is CallEvent.BLOCKED:
            self.caller.subject.blocked("low on memory")
        elif event is CallEvent.ATTEMPT_FAILED:
            self.fail_attempt(state, following)
        elif event is CallEvent.ANSWERED:
            self.reply(BINARY.encode("ping", TMessageType.REPLY, 1, Calculator.ping_result()))
        elif event is CallEvent.DEADLINE:
            if state is not CallState.OVERDUE:
                self.key = None
                clock.advance(1.9 if state is CallState.WATCHED else 61)
                if state is CallState.WATCHED:
                    self.key = "Calculator"
                    while not self.fired:
                        self.keepalive()
                        clock.advance(1.9)
        elif event is CallEvent.CANCELLED:
            self.made.cancel()
        elif event is CallEvent.CLOSED:
            self.caller.subject.close()

    def fail_attempt(self, state: CallState, following: CallState) -> None:
        """End the attempt of a call in `state` with an error."""
        if state is CallState.WAITING_FOR_CHANNEL:
            self.caller.subject.blocked("low on memory")
        elif state is CallState.PAUSED and following is CallState.SETTLED:
            self.reply(b"rubbish")
        elif state is CallState.PAUSED:
            self.prepare(CallEvent.ATTEMPT_FAILED)
            self.wire.clock.advance(LONGEST_PAUSE)
        else:
            self.wire.close_channel()

    def test_every_row_is_reached_and_no_other(self) -> None:
        """A transition that is not in the table fails where it is noted."""
        for row in sorted(ROWS, key=str):
            self.assertIn(row, self.play(*row))

    def test_the_documentation_shows_the_table(self) -> None:
        shown = []
        for state, events in TRANSITIONS.items():
            first = state.value
            for event, followings in events.items():
                shown.append(f"| {first} | {event.value} | {' or '.join(sorted(each.value for each in followings))} |")
                first = ""
        page = (Path(__file__).parents[3] / "docs/architecture.md").read_text()
        self.assertIn("\n".join(shown), page)

    def test_a_settled_call_stays_settled(self) -> None:
        self.assertEqual(TRANSITIONS[CallState.SETTLED], {})
        self.assertEqual(set(TRANSITIONS), set(CallState))


class CallMachine(RuleBasedStateMachine):
    """Calls, replies, returns, confirms, refusals, keepalives, time, cancels, lost channels, a blocked broker, missing
    routes and closing, in any order; calls with and without further attempts, nested ones too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Any] = []
        log.addObserver(self._observe)
        self.patcher = patch.object(caller_module, "Call", ObservedCall)
        self.patcher.start()
        self.has_route = True
        self.caller, self.observer = observed(lambda operation: operation.service if self.has_route else None)
        self.wire = self.caller.wire
        self.calls: list[tuple[Any, list[Any], float]] = []
        self.ids: list[str] = []
        self.sent: Counter[str | None] = Counter()
        self.requests: list[Published] = []
        self.closed = False

    @property
    def has_channel(self) -> bool:
        """Whether there is a channel: the client itself closes one on which the broker refuses all requests."""
        channel = getattr(self.wire, "channel", None)
        return channel is not None and not channel.closed

    def _observe(self, event: dict[str, Any]) -> None:
        if event["isError"]:
            self.errors.append(event)

    @rule(
        oneway=st.booleans(),
        timeout=st.sampled_from([0.5, 1.0, 5.0]),
        again=st.booleans(),
        retry=st.booleans(),
        idempotent=st.sampled_from([[], ["add", "zip"]]),
        liveness=st.sampled_from([None, 1.0]),
        uncorrelated_replies=st.booleans(),
        nested=st.booleans(),
    )
    def call(self, oneway: bool, timeout: float, again: bool, nested: bool, **options: Any) -> None:
        client = self.caller.client(timeout=timeout, **options)
        made = len(self.observer.ids)
        if nested:
            with serving_call(context()):
                call = client.zip() if oneway else client.add(1, 2)
        else:
            call = client.zip() if oneway else client.add(1, 2)
        message_id = "".join(self.observer.ids[made : made + 1])  # none when the connection is closed
        fired = outcome_of(call)
        if again:
            call.addCallback(lambda _: self.call(oneway, timeout, False, nested, **options))
        self.calls.append((call, fired, self.wire.clock.seconds() + timeout))
        self.ids.append(message_id)
        self.note_requests()

    def note_requests(self) -> None:
        """Take the requests that were published, and leave out cancellations."""
        published = [message for message in self.wire.take() if message.properties.type != "rpc.cancel"]
        self.sent.update(message.properties.message_id for message in published)
        if self.has_channel:
            self.requests += published
        else:
            self.requests.clear()

    @rule(has_route=st.booleans())
    def change_route(self, has_route: bool) -> None:
        self.has_route = has_route
        if has_route:
            self.caller.subject.send_waiting()
        self.note_requests()

    @precondition(lambda self: self.has_channel and self.requests)
    @rule(data=st.data(), good=st.booleans(), correlated=st.booleans())
    def reply(self, data: st.DataObject, good: bool, correlated: bool) -> None:
        request = data.draw(st.sampled_from(self.requests))
        changes: dict[str, Any] = {} if correlated else {"correlation_id": None}
        self.caller.reply(request, Calculator.add_result(3) if good else TApplicationException(), **changes)

    @precondition(lambda self: self.has_channel and self.requests)
    @rule(data=st.data(), headers=st.sampled_from([{"rpc-keepalive": "w"}, {"rpc-outcome": "overloaded"}, {"a": 1}]))
    def tell(self, data: st.DataObject, headers: dict[str, Any]) -> None:
        request = data.draw(st.sampled_from(self.requests))
        self.caller.reply(request, TApplicationException(), headers=headers)

    @precondition(lambda self: self.has_channel)
    @rule(reason=st.sampled_from(["low on memory", None]))
    def block(self, reason: str | None) -> None:
        said = method(0, "connection.unblocked") if reason is None else method(0, "connection.blocked", reason)
        self.wire.peer.feed(said)
        self.caller.subject.blocked(reason)

    @precondition(lambda self: self.has_channel and self.requests)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        self.wire.give_back(data.draw(st.sampled_from(self.requests)))

    @precondition(lambda self: self.has_channel)
    @rule(tag=st.integers(0, 12), multiple=st.booleans(), refuse=st.booleans())
    def confirm(self, tag: int, multiple: bool, refuse: bool) -> None:
        self.wire.confirm(tag, multiple, refuse)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        call, _, _ = data.draw(st.sampled_from(self.calls))
        call.cancel()

    @rule(seconds=st.sampled_from([0.0, 0.25, 0.6, 2.0]))
    def advance(self, seconds: float) -> None:
        self.wire.clock.advance(seconds)
        self.note_requests()

    @precondition(lambda self: self.has_channel)
    @rule()
    def lose_channel(self) -> None:
        self.note_requests()
        self.wire.close_channel()
        self.requests.clear()

    @precondition(lambda self: not self.has_channel)
    @rule()
    def open_channel(self) -> None:
        self.caller.open()
        self.note_requests()

    @rule()
    @precondition(lambda self: len(self.calls) > 3)
    def close(self) -> None:
        self.closed = True
        self.caller.subject.close()

    @invariant()
    def each_settles_once(self) -> None:
        now = self.wire.clock.seconds()
        for _, fired, deadline in self.calls:
            assert len(fired) <= 1, fired
            if self.closed or now > deadline + 0.02:
                assert len(fired) == 1, "not settled by its deadline"
        self.note_requests()
        for message_id, (_, fired, _) in zip(self.ids, self.calls, strict=True):
            for error in fired:
                if isinstance(error, RPCError):
                    assert error.attempts == self.sent[message_id]
                    assert (error.outcome is Outcome.NOT_SENT) == (error.attempts == 0)
        pending = sum(not fired for _, fired, _ in self.calls)
        assert len(self.caller.subject.pending.calls) == pending
        assert len(self.caller.subject.pending.deadlines) == pending
        assert not self.errors, self.errors

    def teardown(self) -> None:
        for _ in range(2):  # a call made when another one fails has a deadline of its own
            self.wire.clock.advance(10)
        self.each_settles_once()
        assert all(fired for _, fired, _ in self.calls)
        assert self.caller.leftovers() == []
        log.removeObserver(self._observe)
        self.patcher.stop()


class RefusedTests(SynchronousTestCase):
    """An order of events that is seldom drawn."""

    def test_calls_go_on_after_a_channel_that_refused_all(self) -> None:
        """Five refusals in over three seconds: the client closes the channel, and takes the next one."""
        machine = CallMachine()
        self.addCleanup(machine.teardown)
        options = {"retry": False, "idempotent": [], "liveness": None, "uncorrelated_replies": False}
        machine.open_channel()
        for number in range(5):
            machine.call(oneway=False, timeout=5.0, again=False, nested=False, **options)
            machine.confirm(number + 1, multiple=False, refuse=True)
            machine.advance(1.0)
            machine.each_settles_once()
        self.assertFalse(machine.has_channel)
        machine.open_channel()
        machine.call(oneway=False, timeout=5.0, again=False, nested=False, **options)
        machine.each_settles_once()
        self.assertEqual(len(machine.requests), 1)


class OrderTests(CallMachine.TestCase, SynchronousTestCase):  # type: ignore[misc, valid-type]
    """No call settles twice or never, in any order of events."""

    settings = settings(max_examples=80, stateful_step_count=40)
