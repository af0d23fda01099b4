"""Stubs made from descriptions: of any shape, of earlier versions, and of peers that mean harm."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from generated.calculator import Calculator
from rpc.errors import ConfigurationError
from rpc.reflection import Reflection
from rpc.stub import Stub
from tests.unit.generated_ends import OurEnds

OWN = (Path(__file__).parents[3] / "generated" / "idl.json").read_text("utf-8")


class ReflectionTests(SynchronousTestCase):
    """Of the project's own services."""

    stub: Any

    def setUp(self) -> None:
        """Reflect the calculator."""
        self.reflection = Reflection.read(OWN)
        self.stub = self.reflection.stub("calculator.Calculator")

    def test_has_the_methods_of_the_compiled_stub(self) -> None:
        """With doc comments, parameters, timeouts, and whether they are idempotent."""
        compiled, reflected = Stub.of(Calculator), Stub.of(self.stub)
        self.assertEqual(list(reflected.methods), list(compiled.methods))
        self.assertEqual(reflected.service, "Calculator")
        for name, method in compiled.methods.items():
            other = reflected.methods[name]
            for attribute in ("doc", "signature", "timeout", "idempotent", "oneway", "has_result", "attribute"):
                self.assertEqual(getattr(other, attribute), getattr(method, attribute), (name, attribute))

    def test_has_the_types_by_name(self) -> None:
        """Structs of included files too; enums have their members."""
        self.assertEqual(self.stub.Operation.DIVIDE, 4)
        self.assertEqual(self.stub.Operation._VALUES_TO_NAMES[4], "DIVIDE")
        self.assertEqual(self.stub.Work(num2=2), self.stub.Work(0, 2, self.stub.Operation.ADD, None))
        self.assertEqual(repr(self.stub.SharedStruct(1, "a")), "SharedStruct(key=1, value='a')")
        self.assertEqual(len({self.stub.Work(), self.stub.Work(), self.stub.Work(1)}), 2)

    def test_clients_provide_the_interface(self) -> None:
        """So do handlers of a worker with the stub."""
        self.assertTrue(verifyObject(self.stub.Iface, OurEnds(self.stub, "binary")._client))

    def test_fields_are_checked(self) -> None:
        """As in a compiled class, with the names of all fields."""
        for wrong in (lambda: self.stub.Work(1, 2, 3, "a", 5), lambda: self.stub.Work(1, num1=1)):
            self.assertRaises(TypeError, wrong)
        with self.assertRaisesRegex(TypeError, r"Work\(\) has no field 'num3'; its fields: num1, num2, op, comment"):
            self.stub.Work(num3=1)

    def test_exceptions_can_be_raised_and_copied(self) -> None:
        """Their text has their fields."""
        error = self.stub.InvalidOperation(4, "division by zero")
        caught = self.assertRaises(self.stub.InvalidOperation, throw, error)
        self.assertIn("division by zero", str(caught))
        self.assertEqual(copy.copy(error), error)

    def test_equal_texts_share_their_classes(self) -> None:
        """So structs of two connections are equal, and caches of classes do not grow."""
        self.assertIs(Reflection.read(OWN), self.reflection)
        self.assertIs(self.reflection.stub("calculator.Calculator"), self.stub)

    def test_threads_share_classes_that_are_made_in_one_of_them(self) -> None:
        """Connections of ``rpc.blocking`` that begin together ask for one service."""
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1e-6)
        with ThreadPoolExecutor(4) as threads:
            for number in range(20):
                text = f"{OWN}{' ' * number}\n\n"
                barrier = Barrier(4)

                def reflect(text: str = text, barrier: Barrier = barrier) -> Any:
                    barrier.wait(10.0)
                    return Reflection.read(text).stub("calculator.Calculator")

                self.assertEqual(len({id(made.result()) for made in [threads.submit(reflect) for _ in range(4)]}), 1)

    def test_a_service_is_found_by_its_name(self) -> None:
        """Or by its key. An unknown one is not found."""
        self.assertIs(self.reflection.named("Calculator"), self.stub)
        self.assertIs(self.reflection.named("calculator.Calculator"), self.stub)
        self.assertIsNone(self.reflection.named("Nothing"))

    def test_structs_cannot_be_pickled_by_a_false_name(self) -> None:
        """The error says so, and no other class is found in their place."""
        self.assertRaises((pickle.PicklingError, AttributeError), pickle.dumps, self.stub.Work())


def throw(error: Exception) -> None:
    """Raise an error."""
    raise error


def description(**sections: Any) -> dict[str, Any]:
    """Return a description with some definitions."""
    return {"format": 1, "structs": {}, "enums": {}, "constants": {}, "services": {}, **sections}


def field(**changed: Any) -> dict[str, Any]:
    """Return a field."""
    plain = {"id": 1, "name": "a", "type": "i32", "requiredness": "default", "has_default": False, "doc": ""}
    return {**plain, **changed}


def struct(*fields: dict[str, Any], kind: str = "struct") -> dict[str, Any]:
    """Return a struct."""
    return {"kind": kind, "doc": "", "fields": list(fields), "annotations": {}}


def method(name: str, *arguments: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return a method."""
    plain = {"name": name, "doc": "", "oneway": False, "returns": None, "throws": [], "annotations": {}}
    return {**plain, "arguments": list(arguments), **changed}


def service(*methods: dict[str, Any], extends: str | None = None) -> dict[str, Any]:
    """Return a service."""
    return {"doc": "", "extends": extends, "methods": list(methods), "annotations": {}}


def enum() -> dict[str, Any]:
    """Return an enum."""
    return {"doc": "", "members": [{"name": "A", "value": 1, "doc": ""}]}


def doubling(levels: int) -> dict[str, Any]:
    """Return structs whose defaults have two of the next one each."""
    found = {
        f"a.S{level}": struct(
            field(type={"struct": f"a.S{level + 1}"}, has_default=True, default={}),
            field(id=2, name="b", type={"struct": f"a.S{level + 1}"}, has_default=True, default={}),
        )
        for level in range(levels)
    }
    return {**found, f"a.S{levels}": struct()}


HOSTILE = {
    "a field that is a property of objects": {"structs": {"a.S": struct(field(name="__class__"))}},
    "a field that is no name": {"structs": {"a.S": struct(field(name="a b"))}},
    "a field that is a keyword": {"structs": {"a.S": struct(field(name="async"))}},
    "a field of the class itself": {"structs": {"a.S": struct(field(name="thrift_spec"))}},
    "a field of Python's exceptions": {"structs": {"a.S": struct(field(name="args"), kind="exception")}},
    "two fields of one name": {"structs": {"a.S": struct(field(), field(id=2))}},
    "two fields of one number": {"structs": {"a.S": struct(field(), field(name="b"))}},
    "a number that is no i16": {"structs": {"a.S": struct(field(id=2**31))}},
    "numbers that take much memory": {"structs": {f"a.S{number}": struct(field(id=2**15 - 1)) for number in range(40)}},
    "a struct that is no name": {"structs": {"a.S T": struct()}},
    "an enum with a member that is no name": {
        "enums": {"a.E": {"doc": "", "members": [{"name": "a-b", "value": 1, "doc": ""}]}}
    },
    "an enum that is a property of modules": {"enums": {"a.__class__": enum()}},
    "an enum that is no name": {"enums": {"a.E\x1b[2J": enum()}},
    "a method that is no name": {"services": {"a.S": service(method("a.b"))}},
    "a method of all objects": {"services": {"a.S": service(method("__init__"))}},
    "two arguments of one name": {"services": {"a.S": service(method("a", field(), field(id=2)))}},
    "a default of another type": {"structs": {"a.S": struct(field(has_default=True, default="x"))}},
    "a default out of range": {"structs": {"a.S": struct(field(has_default=True, default=2**31))}},
    "a default that is no list": {"structs": {"a.S": struct(field(type={"list": "i32"}, default={"a": 1}))}},
    "a default with pairs of three": {
        "structs": {"a.S": struct(field(type={"map": ["i32", "i32"]}, default=[[1, 2, 3]]))}
    },
    "a default with an unknown field": {
        "structs": {"a.S": struct(field(type={"struct": "a.T"}, default={"x": 1})), "a.T": struct()}
    },
    "a default that contains itself": {"structs": {"a.S": struct(field(type={"struct": "a.S"}, default={}))}},
    "defaults that double": {"structs": doubling(40)},
    "a default of doubling structs in an argument": {
        "structs": doubling(12),
        "services": {"a.S": service(method("a", field(type={"list": {"struct": "a.S0"}}, default=[{}] * 9)))},
    },
    "defaults that are many together": {
        "structs": {f"a.S{n}": struct(field(type={"list": "i32"}, default=[1] * 9000)) for n in range(12)}
    },
    "structs nested too deeply, with a union": {
        "structs": {
            **{f"a.S{n}": struct(field(type={"struct": f"a.S{n + 1}"})) for n in range(2000)},
            "a.S2000": struct(field(), kind="union"),
        }
    },
    "too many structs": {"structs": {f"a.S{n}": struct() for n in range(4_001)}},
    "a timeout that is no number": {"services": {"a.S": service(method("a", annotations={"timeout_ms": "soon"}))}},
}


@pytest.mark.parametrize("sections", HOSTILE.values(), ids=list(HOSTILE))
def test_refuses(sections: dict[str, Any]) -> None:
    """In words, before a class is used, and at once."""
    structs = [field(type={"struct": key}) for key in sections.get("structs", ())]
    uses = service(*[method(f"m{number}", one) for number, one in enumerate(structs)])
    text = json.dumps(description(**{"services": {"a.Uses": uses}, **sections}))
    with pytest.raises((ValueError, ConfigurationError)) as caught:
        reflection = Reflection.read(text)
        for key in reflection.services:
            reflection.stub(key)
    assert type(caught.value) in (ValueError, ConfigurationError)
    assert str(caught.value)


def test_services_that_inherit_many_methods_are_refused() -> None:
    """Each has all methods of its base, so a description of a megabyte could fill the memory."""
    base = {"a.Base": service(*[method(f"m{number}") for number in range(1_100)])}
    heirs = {f"a.S{number}": service(extends="a.Base") for number in range(100)}
    with pytest.raises(ValueError, match="more than 100000 methods"):
        Reflection.read(json.dumps(description(services={**base, **heirs})))


def test_names_of_modules_here_are_not_looked_up() -> None:
    """A package of a description may have the name of one that would be imported, or of a stub of this program."""
    sections = {"structs": {"antigravity.ttypes.S": struct(field(), kind="union")}}
    sections["services"] = {"antigravity.S": service(method("a", field(type={"struct": "antigravity.ttypes.S"})))}
    stub: Any = Reflection.read(json.dumps(description(**sections))).stub("antigravity.S")
    ends = OurEnds(stub, "binary")
    assert ends.call("a", (stub.S(),)) == b""  # the union is known to be one
    assert ends.call("a", (stub.S(a=1),))


def test_a_description_without_the_values_of_defaults_leaves_them_unset() -> None:
    """Earlier versions did not write them. The worker sets its own defaults."""
    document = json.loads(OWN)
    for found in document["structs"].values():
        for one in found["fields"]:
            one.pop("default", None)
    stub: Any = Reflection.read(json.dumps(document)).stub("calculator.Calculator")
    assert stub.Work(num2=1) == stub.Work(None, 1, None, None)


@pytest.mark.parametrize("name", ["read", "write", "validate", "update", "keys"])
def test_a_field_may_have_the_name_of_a_method(name: str) -> None:
    """In each protocol, with struct values that the C extension cannot read."""
    types = {
        "a.S": struct(field(name=name), field(id=-1, name="inner", type={"map": [{"list": "i32"}, {"struct": "a.T"}]}))
    }
    types["a.T"] = struct(field(name=name))
    sections = {"structs": types, "services": {"a.S": service(method("a", field(type={"struct": "a.S"})))}}
    stub: Any = Reflection.read(json.dumps(description(**sections))).stub("a.S")
    value = stub.S(5, {(1, 2): stub.T(3)})
    for protocol in ("binary", "compact"):
        ends = OurEnds(stub, protocol)
        ends.serve(ends.call("a", (value,)))
        assert ends.notes.taken == [(value,)]


def test_structs_may_be_nested_deeply() -> None:
    """And contain one another."""
    structs = {
        f"a.S{n}": struct(*[field(id=i, name=f"f{i}", type={"struct": f"a.S{(n + i * i) % 150}"}) for i in range(1, 5)])
        for n in range(150)
    }
    methods = [method(f"m{n}", field(type={"struct": f"a.S{n}"})) for n in range(150)]
    text = json.dumps(description(structs=structs, services={"a.S": service(*methods)}))
    stub: Any = Reflection.read(text).stub("a.S")
    ends = OurEnds(stub, "binary")
    ends.serve(ends.call("m0", (stub.S0(f1=stub.S1()),)))
    assert ends.notes.taken == [(stub.S0(f1=stub.S1()),)]
