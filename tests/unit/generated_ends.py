"""The two ends of a call, twice: as Thrift's generated code has them, and ours, with their bytes to compare."""

from __future__ import annotations

import struct
from types import ModuleType, SimpleNamespace
from typing import Any

from hypothesis import strategies as st
from thrift.protocol.TBinaryProtocol import TBinaryProtocolAcceleratedFactory, TBinaryProtocolFactory
from thrift.protocol.TCompactProtocol import TCompactProtocolAcceleratedFactory, TCompactProtocolFactory
from thrift.protocol.TJSONProtocol import TJSONProtocolFactory
from thrift.protocol.TProtocol import TProtocolFactory
from thrift.Thrift import TApplicationException
from thrift.transport.TTransport import TMemoryBuffer
from thrift.transport.TTwisted import ThriftClientFactory, ThriftServerFactory
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from zope.interface import directlyProvides

from rpc.client.options import ClientOptions
from rpc.client.stub_client import Client
from rpc.envelope import CODECS
from rpc.frozen import FrozenDict
from rpc.messages import Properties
from rpc.stub import Stub, StubMethod
from rpc.worker.service import ThriftService
from tests.unit.client.caller_in_memory import CallerInMemory
from tests.unit.wire import Published, Wire
from tests.unit.worker.served import WorkerInMemory
from tests.values import field_values, fields_of

FACTORIES: dict[str, tuple[TProtocolFactory, ...]] = {
    "binary": (TBinaryProtocolFactory(), TBinaryProtocolAcceleratedFactory()),
    "compact": (TCompactProtocolFactory(), TCompactProtocolAcceleratedFactory()),
    "json": (TJSONProtocolFactory(),),
}
"""The choices of a user of plain Thrift; the first of each is pure Python."""


class Notes:
    """A handler of any service: notes its arguments, and returns or raises as the test says.

    :ivar handler: provides the stub's ``Iface``.
    :ivar taken: arguments of the calls, in the order of the IDL.
    :ivar answer: ``"returns"`` or ``"raises"``, and the value or the exception.
    """

    def __init__(self, stub: ModuleType) -> None:
        self.taken: list[tuple[Any, ...]] = []
        self.answer: tuple[str, Any] = ("returns", None)
        interface = Stub.of(stub).interface
        self.handler = SimpleNamespace(**dict.fromkeys(interface.names(all=True), self._called))
        directlyProvides(self.handler, interface)

    def _called(self, *arguments: Any) -> Any:
        self.taken.append(arguments)
        what, value = self.answer
        if what == "raises":
            raise value
        return value


class ThriftEnds:
    """The generated ``Client`` and ``Processor`` on Thrift's own transports, as Thrift's tutorial has them."""

    def __init__(self, stub: Any, factory: TProtocolFactory) -> None:
        self.notes = Notes(stub)
        self._factory = factory
        self._client = _connected(ThriftClientFactory(stub.Client, factory))
        self._server = _connected(ThriftServerFactory(stub.Processor(self.notes.handler), factory))

    def call(self, name: str, arguments: tuple[Any, ...], seqid: int) -> bytes:
        """Call, and return the request; nothing when it does not encode, after which these ends are of no more use."""
        client = self._client.client
        client._seqid = seqid - 1
        self._outcome = _outcome_of(getattr(client, name)(*arguments))
        return _written(self._client)

    def serve(self, request: bytes) -> bytes:
        """Have the request served, and return the reply; nothing for a oneway method."""
        self._server.stringReceived(request)
        return _written(self._server)

    def message(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        """Return a message that no method writes so."""
        transport = TMemoryBuffer()
        protocol = self._factory.getProtocol(transport)
        protocol.writeMessageBegin(name, kind, seqid)
        struct.write(protocol)
        protocol.writeMessageEnd()
        return transport.getvalue()

    def settle(self, reply: bytes) -> tuple[str, Any]:
        """Answer the last call with `reply`, and return its outcome, in the form of ``Notes.answer``."""
        if reply:
            self._client.stringReceived(reply)
        (outcome,) = self._outcome
        return outcome


def _outcome_of(deferred: Deferred[Any]) -> list[tuple[str, Any]]:
    fired: list[tuple[str, Any]] = []
    deferred.addCallbacks(
        lambda value: fired.append(("returns", value)), lambda failure: fired.append(("raises", failure.value))
    )
    return fired


def _connected(factory: Factory) -> Any:
    protocol: Any = factory.buildProtocol(None)
    protocol.makeConnection(StringTransport())
    return protocol


def _written(protocol: Any) -> bytes:
    """Return the output of Thrift's transport since the last call: one message without its frame, or nothing."""
    written: bytes = protocol.transport.value()
    protocol.transport.clear()
    assert written == b"" or written[:4] == struct.pack("!I", len(written) - 4), written
    return written[4:]


class OurEnds:
    """Our client and worker, each on a broker in memory.

    :ivar seqid: the last call's, which our client chooses.
    :ivar protocol: its name in the client's options.
    """

    def __init__(self, stub: ModuleType, protocol: str, invalid_utf8: str = "refuse") -> None:
        self.notes = Notes(stub)
        self.seqid = 0
        self._factory = FACTORIES[protocol][0]
        self.protocol = protocol
        self.codec = CODECS[protocol]
        self._caller = CallerInMemory()
        self._caller.open()
        options = ClientOptions(protocol=protocol, invalid_utf8=invalid_utf8)
        self._client = Client(Stub.of(stub), lambda _: self._caller.subject, options)
        self._published = 0
        self._request: Published
        self._worker = Wire()
        service = ThriftService(stub, self.notes.handler, invalid_utf8=invalid_utf8)
        WorkerInMemory(self._worker, service, self.notes.handler)

    def call(self, name: str, arguments: tuple[Any, ...]) -> bytes:
        """Call, and return the request, which the broker confirms; nothing when it does not encode."""
        self._outcome = _outcome_of(getattr(self._client, name)(*arguments))
        published = self._caller.wire.take()
        if not published:
            return b""
        (self._request,) = published
        self._published += 1
        self._caller.wire.confirm(self._published)
        body = self._request.body
        _, _, self.seqid = self._factory.getProtocol(TMemoryBuffer(body)).readMessageBegin()
        return body

    def serve(self, request: bytes) -> bytes:
        """Have the request served, and return the reply; nothing for a oneway method. A dead letter is left out."""
        properties = Properties(content_type=self.codec.content_type, reply_to="amq.gen-replies", correlation_id="c")
        self._worker.deliver(request, properties, "c2")
        self._worker.clock.advance(0)
        return b"".join(
            published.body for published in self._worker.take() if published.routing_key == "amq.gen-replies"
        )

    def settle(self, reply: bytes) -> tuple[str, Any]:
        """Answer the last call with `reply`, and return its outcome."""
        if reply:
            self._caller.reply_bytes(self._request, reply)
        (outcome,) = self._outcome
        return outcome


def answers(method: StubMethod) -> st.SearchStrategy[tuple[str, Any]]:
    """All answers of a handler: a value, a forgotten return, an exception of the IDL, or another one."""
    fields = [] if method.result_class is None else fields_of(method.result_class)
    returned = [field_values(field, sound=True) for field in fields if field[0] == 0]
    raised = [field_values(field, sound=True) for field in fields if field[0] != 0]
    refused = st.builds(TApplicationException, st.integers(-(2**31), 2**31 - 1), st.none() | st.text())
    return st.one_of(
        st.tuples(st.just("returns"), st.one_of(st.none(), *returned)),
        st.tuples(st.just("raises"), st.one_of(refused, st.builds(ZeroDivisionError), *raised)),
    )


def outcome_expected(method: StubMethod, answer: tuple[str, Any]) -> tuple[str, Any]:
    """Return the outcome of a call whose handler gives `answer`."""
    what, value = answer
    if method.oneway:
        return "returns", None
    if isinstance(value, ZeroDivisionError):
        return "raises", TApplicationException(TApplicationException.INTERNAL_ERROR, "Internal error")
    if method.has_result and answer == ("returns", None):  # there is no null in Thrift
        missing = f"{method.name} failed: unknown result"
        return "raises", TApplicationException(TApplicationException.MISSING_RESULT, missing)
    return what, value


def exactly(value: Any, *, defaults: bool = False) -> Any:
    """Return a form in which 1, 1.0 and True differ, and NaN and exceptions equal themselves.

    :param defaults: give unset fields their default, as a reader does.
    """

    def inner(value: Any) -> Any:
        return exactly(value, defaults=defaults)

    kind = type(value)
    if kind is float:
        return kind, repr(value)  # of the zeros too
    if kind is TApplicationException:
        return kind, value.type, value.message
    if hasattr(value, "thrift_spec"):
        found = [(field, getattr(value, field[2])) for field in fields_of(kind)]
        return kind, *(inner(field[4] if got is None and defaults else got) for field, got in found)
    if kind in (set, frozenset):
        return kind, frozenset(map(inner, value))
    if kind in (list, tuple):
        return kind, *map(inner, value)
    if kind in (dict, FrozenDict):
        return kind, frozenset((inner(key), inner(item)) for key, item in value.items())
    return kind, value
