"""Plays the cases of one protocol: one worker, and two clients for each case.

The first client is ours. The second one has Apache Thrift's generated code and its protocols in Python, and sends their
bytes as they are.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import attrs
from thrift.transport.TTransport import TMemoryBuffer

import rpc
from rpc.stub import Stub
from rpc.testing import Harness
from tests.cross_test.programs import types_of
from tests.cross_test.spying import PATIENCE, Spy
from tests.cross_test.values import Answer, Case, Refused, Returns, Undeclared, with_classes
from tests.unit.generated_ends import FACTORIES, Notes, ThriftEnds

Outcome = tuple[str, Any]
"""As in ``Notes.answer``."""

Caller = Callable[[Case, str, ModuleType, tuple[Any, ...]], Awaitable[Outcome]]
"""Makes a case's call: of the service of this name, with this stub and these arguments."""


@attrs.define
class Call:
    """A call as it was.

    :ivar seen: the arguments that the handler got; ``None``: it was not run.
    """

    seen: tuple[Any, ...] | None
    outcome: Outcome


@attrs.define
class Played:
    """A case as it was played, beside the expected outcome.

    :ivar ours: the call of our client.
    :ivar thrifts: the call of Thrift's client; ``None`` for a case that it cannot play.
    :ivar request: our client's bytes; ``None`` when it sent nothing.
    :ivar thrifts_request: the bytes of Thrift's client.
    :ivar reply: our worker's bytes, in answer to that request. Empty for oneway.
    :ivar thrifts_reply: the bytes of Thrift's generated processor.
    """

    case: Case
    expected: Call
    ours: Call
    thrifts: Call | None = None
    request: bytes | None = None
    thrifts_request: bytes = b""
    reply: bytes = b""
    thrifts_reply: bytes = b""


async def outcome_of(call: Awaitable[Any]) -> Outcome:
    """Return the outcome of one of our calls."""
    try:
        return "returns", await call
    except rpc.RPCError as error:
        return "refused", type(error)
    except Exception as error:  # the IDL's, or Thrift's
        return "raises", error


async def play(url: str, protocol: str, stubs: Mapping[str, ModuleType], cases: Iterable[Case]) -> dict[str, Played]:
    """Play cases on a broker, one after another.

    :return: the cases by name.
    """
    player = Player(url, protocol, stubs)
    async with player.harness:
        with Spy(url, player.names.values()) as spy:
            played = []
            for case in cases:
                played.append(await player.play(case))
                spy.read()
            requests = spy.requests({each.case.name for each in played if each.ours.outcome[0] != "refused"})
    for each in played:
        each.request = requests.get(each.case.name)
        if each.thrifts is not None and each.request is not None:
            player.add_thrifts_bytes(each, each.request)
    return {each.case.name: each for each in played}


class Player:
    """A worker with all services, and its clients.

    :ivar names: of the services on the broker.
    :ivar harness: the worker, once it is entered.
    """

    def __init__(self, url: str, protocol: str, stubs: Mapping[str, ModuleType]) -> None:
        self.names = {name: f"{name}.{secrets.token_hex(4)}" for name in stubs}
        self._protocol = protocol
        self._stubs = stubs
        self._notes = {name: Notes(stub) for name, stub in stubs.items()}
        services = [
            rpc.ThriftService(stub, self._notes[name].handler, name=self.names[name]) for name, stub in stubs.items()
        ]
        self.harness = Harness(*services, url=url)

    async def play(self, case: Case) -> Played:
        notes, types = self._notes[case.service], types_of(self._stubs[case.service])
        notes.answer = answer_of(case.answer, types)
        arguments = self.arguments(case)
        played = Played(case, self._expected(case), await self._call_by(case, self._call_of_ours))
        if case.has_thrifts_bytes(self._protocol):
            played.thrifts = await self._call_of_thrift(played, arguments)
        return played

    def arguments(self, case: Case) -> tuple[Any, ...]:
        """Return the arguments that the client sends."""
        made: tuple[Any, ...] = with_classes(case.arguments, types_of(self._stub(case)))
        return made

    def _stub(self, case: Case) -> ModuleType:
        return self._stubs[case.stub or case.service]

    def _expected(self, case: Case) -> Call:
        seen = with_classes(case.expected_arguments, types_of(self._stubs[case.service]))
        outcome = case.expected_outcome
        if outcome is Refused:
            return Call(seen, ("refused", rpc.InvalidRequest))
        return Call(seen, answer_of(outcome, types_of(self._stub(case))))

    async def play_by(self, case: Case, caller: Caller) -> tuple[Call, Call]:
        """Have a case called by another client; return the call that had to come, and the one that came."""
        notes, types = self._notes[case.service], types_of(self._stubs[case.service])
        notes.answer = answer_of(case.answer, types)
        return self._expected(case), await self._call_by(case, caller)

    async def _call_by(self, case: Case, caller: Caller) -> Call:
        outcome = await caller(case, self.names[case.service], self._stub(case), self.arguments(case))
        return await self._noted(case, outcome, caller)

    async def _call_of_ours(self, case: Case, service: str, stub: ModuleType, arguments: tuple[Any, ...]) -> Outcome:
        client = self.harness.client(
            stub, name=service, protocol=self._protocol, headers={Spy.HEADER: case.name}, timeout=PATIENCE
        )
        return await outcome_of(getattr(client, case.method)(*arguments))

    async def _call_of_thrift(self, played: Played, arguments: tuple[Any, ...]) -> Call:
        case = played.case
        ends = ThriftEnds(self._stub(case), FACTORIES[self._protocol][0])
        request, service = ends.call(case.method, arguments, 1), self.names[case.service]
        try:
            reply = await self.harness.connection.call_raw(service, request, protocol=self._protocol, timeout=PATIENCE)
            played.reply = reply.message
            outcome = ends.settle(reply.message)
        except Exception as error:  # it fails this case alone
            outcome = "raises", error
        return await self._noted(case, outcome, self._call_of_ours)

    async def _noted(self, case: Case, outcome: Outcome, caller: Caller) -> Call:
        """Return a call that has ended, with the arguments that its handler got.

        A oneway call ends before its handler runs. The caller's next call to the service is run after it.
        """
        taken = self._notes[case.service].taken
        if Stub.of(self._stub(case)).methods[case.method].oneway:
            after = Case(f"after_{case.name}", "nothing", service=case.service)
            await caller(after, self.names[case.service], self._stub(after), ())
            assert taken.pop() == ()
        seen = taken.pop() if taken else None
        assert taken == [], "the handler ran more than once"
        return Call(seen, outcome)

    def add_thrifts_bytes(self, played: Played, request: bytes) -> None:
        """Add the bytes of Thrift's generated code in the same case, with the seqid of our client's `request`."""
        case, factory = played.case, FACTORIES[self._protocol][0]
        try:
            _, _, seqid = factory.getProtocol(TMemoryBuffer(request)).readMessageBegin()
        except Exception:  # it fails this case alone
            seqid = 0
        played.thrifts_request = ThriftEnds(self._stub(case), factory).call(case.method, self.arguments(case), seqid)
        server = ThriftEnds(self._stubs[case.service], factory)
        server.notes.answer = answer_of(case.answer, types_of(self._stubs[case.service]))
        played.thrifts_reply = server.serve(self._thrifts_message(case))

    def _thrifts_message(self, case: Case) -> bytes:
        """Return the request of Thrift's client, which has seqid 1."""
        return ThriftEnds(self._stub(case), FACTORIES[self._protocol][0]).call(case.method, self.arguments(case), 1)


def answer_of(answer: Answer, types: ModuleType) -> Outcome:
    """Return an answer with the values of a program."""
    if isinstance(answer, Returns):
        return "returns", with_classes(answer.value, types)
    error = answer.error
    return "raises", error() if error is Undeclared else with_classes(error, types)
