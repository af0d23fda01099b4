"""For tests of the rules for values: our client and worker in all protocols."""

from __future__ import annotations

from typing import Any, ClassVar

from thrift.Thrift import TApplicationException
from twisted.trial.unittest import SynchronousTestCase

from rpc.envelope import CODECS
from rpc.errors import InvalidRequest
from rpc.stub import Stub
from tests.stubs import compile_stub
from tests.unit.generated_ends import OurEnds, exactly
from tests.unit.test_generated_equality import EVERYTHING

NOT_UTF_8 = (b"\xff", b"ok\xe2\x82", b"\xed\xa0\x80", b"\xc0\x80", "é".encode("latin-1") * 20)


class ValueRuleCase(SynchronousTestCase):
    """Our client and worker in all protocols."""

    idl: ClassVar[str] = EVERYTHING
    stub: ClassVar[Any]
    types: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.stub = compile_stub(cls.idl, "Everything")
        cls.types = cls.stub.ttypes

    def setUp(self) -> None:
        self._ends: dict[str, list[OurEnds]] = {}

    def ends(self, invalid_utf8: str = "refuse") -> list[OurEnds]:
        """Return the ends of the service in each protocol."""
        if invalid_utf8 not in self._ends:
            self._ends[invalid_utf8] = [OurEnds(self.stub, protocol, invalid_utf8) for protocol in CODECS]
        return self._ends[invalid_utf8]

    def sent(self, ours: OurEnds, name: str, value: Any) -> Any:
        """Call a method of one argument; return the value that its handler got, or the error's class."""
        request = ours.call(name, (value,))
        if not request:
            return type(ours.settle(b"")[1])
        return self.served(ours, request)

    def served(self, ours: OurEnds, request: bytes) -> Any:
        """Serve a request; return the value that its handler got, or the number of the worker's exception."""
        ours.notes.taken, ours.notes.answer = [], ("returns", None)
        reply = ours.serve(request)
        if ours.notes.taken:
            return ours.notes.taken[0][0]
        header = ours.codec.read_header(reply)
        exception: TApplicationException = ours.codec.read_struct(reply, header[3], TApplicationException)
        return exception.type

    def answered(self, ours: OurEnds, name: str, value: Any) -> Any:
        """Let the handler return a value; return the caller's result, or the number of the worker's exception."""
        ours.notes.answer = "returns", value
        request = ours.call(name, (None,) * len(Stub.of(self.stub).methods[name].argument_names))
        how, result = ours.settle(ours.serve(request))
        self.flushLoggedErrors()
        return result if how == "returns" else result.type

    def assert_same_everywhere(self, name: str, value: Any, expected: Any) -> None:
        """Check that a value arrives as `expected` in each protocol, both ways; ``InvalidRequest``: that it fits in
        none.
        """
        for ours in self.ends():
            self.assertEqual(exactly(self.sent(ours, name, value)), exactly(expected), (ours.protocol, name, value))
            answer = TApplicationException.INTERNAL_ERROR if expected is InvalidRequest else expected
            self.assertEqual(exactly(self.answered(ours, name, value)), exactly(answer), (ours.protocol, name, value))
