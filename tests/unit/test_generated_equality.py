"""The bytes on the wire equal those of the generated ``Client`` and ``Processor``.

Client and worker do not use the generated code, to be faster and to lose no calls. Every method of every service is
called here both ways, in every protocol: the requests are equal, the replies are equal, and each end understands the
other's.

Some cases are not compared, since the generated code is wrong there: a value that does not encode, an
unset required field, a union without a field or with several, an unknown oneway method, a handler's
TTransportException, and the seqid after 2^31 - 1. In JSON these are not compared either, for which Thrift's Python
does not write JSON: values of other types, doubles that are not finite, and structs as keys of maps.
"""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thrift.Thrift import TApplicationException, TMessageType
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator
from rpc.errors import InvalidRequest
from rpc.stub import Stub, StubMethod
from tests.stubs import compile_stub
from tests.unit.client.test_operation import operation
from tests.unit.compiler.idl_files import PROJECT
from tests.unit.envelope_messages import escaped
from tests.unit.generated_ends import FACTORIES, OurEnds, ThriftEnds, answers, exactly, outcome_expected
from tests.unit.odd_values import ODD_VALUES
from tests.unit.test_required_fields import NESTED
from tests.unit.test_stub import ODD
from tests.values import generated_modules, structs

pytestmark = pytest.mark.slow

WORK = PROJECT / "tools" / "bench" / "peers" / "common" / "work.thrift"

EVERYTHING = Path(__file__).with_name("everything.thrift").read_text("utf-8")

SKIPPING = ("flag", "small", "number", "real", "nothing")
"""Methods of it whose field, if there is one, is of a plain type: what the other methods send in its place has another
type on the wire, and is skipped, or is just the same. (The wire does not tell one struct, list or string from another.)
"""

EXAMPLES = 12
"""Of each method: few, for hypothesis puts most of them at the edges, and each run has others."""


def without_differences(outcome: tuple[str, Any], method: StubMethod) -> tuple[str, Any]:
    """Return the outcome as Thrift has it, which neither names fields nor notices an unknown exception of ``void``."""
    _, value = outcome
    text, told, _ = str(getattr(value, "message", "")).partition("; its IDL seems")
    if not told:
        return outcome
    return ("raises", TApplicationException(value.type, text)) if method.has_result else ("returns", None)


class EqualityTests(SynchronousTestCase):
    """Each method is called both ways, and each end reads the other's bytes."""

    def setUp(self) -> None:
        logging.disable()  # the generated code logs errors of handlers, which takes as long as the rest of the tests
        self.addCleanup(logging.disable, logging.NOTSET)

    def tearDown(self) -> None:
        self.flushLoggedErrors(ZeroDivisionError, TApplicationException)  # our worker logs it too

    def pairs(self, stub: ModuleType, *, plain: bool = True) -> list[tuple[OurEnds, ThriftEnds]]:
        """Return ends of `stub` in all protocols: ours, and each kind of Thrift's.

        :param plain: include those without Thrift's C extension.
        """
        return [
            (OurEnds(stub, protocol), ThriftEnds(stub, factory))
            for protocol, factories in FACTORIES.items()
            for factory in (factories if plain else factories[-1:])
        ]

    def assert_equal_ways(
        self, ours: OurEnds, theirs: ThriftEnds, name: str, arguments: tuple[Any, ...], answer: tuple[str, Any]
    ) -> tuple[tuple[Any, ...], tuple[str, Any]]:
        """Call both ways, with the ends crossed; return the handler's arguments and the result of the client's
        Deferred.
        """
        ours.notes.answer = theirs.notes.answer = answer
        ours.notes.taken, theirs.notes.taken = [], []
        our_request = ours.call(name, arguments)
        their_request = theirs.call(name, arguments, ours.seqid)
        self.assertEqual(our_request, escaped(ours.protocol, their_request), "the request: ours, Thrift's")
        our_reply, their_reply = ours.serve(their_request), theirs.serve(our_request)
        self.assertEqual(our_reply, escaped(ours.protocol, their_reply), "the reply: ours, Thrift's")
        (our_taken,), (their_taken,) = ours.notes.taken, theirs.notes.taken
        self.assertEqual(exactly(our_taken), exactly(their_taken), "what the handler got: ours, Thrift's")
        our_outcome, their_outcome = ours.settle(their_reply), theirs.settle(our_reply)
        self.assertEqual(exactly(our_outcome), exactly(their_outcome), "what the caller got: ours, Thrift's")
        return our_taken, our_outcome

    def assert_equal_method(self, pairs: list[tuple[OurEnds, ThriftEnds]], method: StubMethod) -> None:
        """Check a method in all protocols, with any arguments and results."""

        @settings(max_examples=EXAMPLES)
        @given(structs(method.arguments_class, sound=True), answers(method))
        def check(sent: Any, answer: tuple[str, Any]) -> None:
            arguments = tuple(getattr(sent, name) for name in method.argument_names)
            for ours, theirs in pairs:
                taken, outcome = self.assert_equal_ways(ours, theirs, method.name, arguments, answer)
                read = method.arguments_class(**dict(zip(method.argument_names, taken, strict=True)))
                self.assertEqual(exactly(read), exactly(sent, defaults=True))
                self.assertEqual(exactly(outcome), exactly(outcome_expected(method, answer), defaults=True))

        check()

    def assert_equal_service(self, stub: ModuleType) -> None:
        """Check every method of a service, and an unknown one."""
        pairs = self.pairs(stub)
        for method in Stub.of(stub).methods.values():
            without_json = [(ours, theirs) for ours, theirs in pairs if ours.protocol != "json"]
            self.assert_equal_method(without_json if method.name == "keyed" else pairs, method)
        for ours, theirs in pairs:
            request = ours.codec.encode("unheard_of", TMessageType.CALL, 5, TApplicationException(1, "as a struct"))
            self.assertEqual(ours.serve(request), theirs.serve(request))

    def test_the_services_of_the_project(self) -> None:
        """Those in ``generated/``."""
        services = [module for module in generated_modules() if hasattr(module, "Iface")]
        self.assertIn(Calculator, services)
        for stub in services:
            self.assert_equal_service(stub)

    def test_the_services_of_other_tests_and_benchmarks(self) -> None:
        """From their IDL."""
        work = WORK.read_text("utf-8").replace("namespace py work", "")
        for idl, service in ((ODD, "Odd"), (ODD, "Empty"), (NESTED, "Trees"), (work, "Bench")):
            self.assert_equal_service(compile_stub(idl, service))

    def test_a_service_with_every_type_of_the_idl(self) -> None:
        """``everything.thrift``."""
        self.assert_equal_service(compile_stub(EVERYTHING, "Everything"))

    def test_sizes_at_which_an_encoding_changes(self) -> None:
        """Of strings and of containers."""
        for ours, theirs in self.pairs(compile_stub(EVERYTHING, "Everything")):
            for size in (0, 1, 14, 15, 16, 127, 128, 255, 256, 16383, 16384):
                self.assert_echoed(ours, theirs, "text", "x" * size)
                self.assert_echoed(ours, theirs, "data", b"\xff" * size)
            for size in (0, 14, 15, 16, 127, 128, 256, 1000):
                self.assert_echoed(ours, theirs, "strings", [*map(str, range(size))])
                self.assert_echoed(ours, theirs, "numbers", {*range(size)})
                self.assert_echoed(ours, theirs, "blobs", {str(number): b"" for number in range(size)})

    def assert_echoed(self, ours: OurEnds, theirs: ThriftEnds, name: str, value: Any) -> None:
        """Check a method of one argument whose handler returns it."""
        answer = "returns", value
        self.assertEqual(self.assert_equal_ways(ours, theirs, name, (value,), answer), ((value,), answer))

    def test_doubles_that_are_not_finite(self) -> None:
        """Without JSON: Thrift's Python cannot read its own text for them."""
        for ours, theirs in self.pairs(compile_stub(EVERYTHING, "Everything")):
            for value in (float("inf"), float("-inf"), float("nan"), -float("nan")):
                if ours.protocol != "json":
                    taken, outcome = self.assert_equal_ways(ours, theirs, "real", (value,), ("returns", value))
                    self.assertEqual(exactly((taken, outcome)), exactly(((value,), ("returns", value))))

    def test_values_of_other_python_types(self) -> None:
        """They give equal bytes or fail, as in Thrift's C extension, which we use. Its Python code accepts others."""
        stub = compile_stub(EVERYTHING, "Everything")
        for protocol in ("binary", "compact"):
            ours = OurEnds(stub, protocol)
            for name, value in ((name, value) for name, values in ODD_VALUES.items() for value in values):
                theirs = ThriftEnds(stub, FACTORIES[protocol][-1])  # the last one may be spoilt
                request = ours.call(name, (value,))
                self.assertEqual(request, theirs.call(name, (value,), ours.seqid), (name, value))
                if request:
                    ours.notes.answer = theirs.notes.answer = "returns", value
                    request = theirs.message(name, TMessageType.CALL, 5, getattr(stub, f"{name}_args")())
                    self.assertEqual(ours.serve(request), theirs.serve(request), (name, value))
                else:
                    self.assertIsInstance(ours.settle(b"")[1], InvalidRequest)

    def test_fields_of_another_version_of_the_idl_are_skipped(self) -> None:
        """Unknown fields, and fields of another type. Thrift's Python code alone reads binary fields as text."""
        stub = compile_stub(EVERYTHING, "Everything")
        pairs, methods = self.pairs(stub, plain=False), dict(Stub.of(stub).methods)
        del methods["keyed"]  # its structs have no form in JSON
        sent = [structs(method.arguments_class, sound=True) for method in methods.values()]
        answered = [structs(method.result_class, sound=True) for method in methods.values() if method.result_class]

        @settings(max_examples=60)
        @given(st.sampled_from(SKIPPING), st.one_of(sent), st.one_of(answered))
        def check(name: str, arguments: Any, result: Any) -> None:
            for ours, theirs in pairs:
                ours.notes.taken, theirs.notes.taken = [], []
                request = theirs.message(name, TMessageType.CALL, 5, arguments)
                self.assertEqual(ours.serve(request), theirs.serve(request))
                self.assertEqual(exactly(ours.notes.taken), exactly(theirs.notes.taken))
                unset = (None,) * len(methods[name].argument_names)
                ours.call(name, unset)
                theirs.call(name, unset, ours.seqid)
                reply = theirs.message(name, TMessageType.REPLY, ours.seqid, result)
                outcome = without_differences(ours.settle(reply), methods[name])
                self.assertEqual(exactly(outcome), exactly(theirs.settle(reply)))

        check()

    def test_all_seqids_of_clients(self) -> None:
        """Those of our client, and any that a peer may choose."""
        pairs = self.pairs(Calculator)

        @settings(max_examples=30)
        @given(st.integers(1, 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
        def check(seqid: int, of_peer: int) -> None:
            for ours, theirs in pairs:
                request = operation(protocol=ours.protocol).encode(seqid, (1, 2), {})
                self.assertEqual(request, theirs.call("add", (1, 2), seqid))
                request = theirs.call("ping", (), of_peer)
                self.assertEqual(ours.serve(request), theirs.serve(request))

        check()
