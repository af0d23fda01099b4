"""Reflected stubs write and read the bytes of compiled ones: for each IDL of the corpus and of ``idl/``."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rpc import idl
from rpc.envelope import CODECS
from rpc.generated_classes import fields_of
from rpc.idl import FILE_NAME
from rpc.reflection import Reflection
from rpc.stub import Stub
from tests.idl_corpus.samples import Samples
from tests.unit.compiler.test_corpus import COMPILERS, Compiled, compiled
from tests.unit.generated_ends import OurEnds, exactly

pytestmark = pytest.mark.slow

OWN = Path(__file__).parents[3] / "generated" / FILE_NAME


@pytest.fixture(params=COMPILERS)
def corpus(request: pytest.FixtureRequest) -> Compiled:
    """Return the corpus of each compiler."""
    return compiled(request.param)


def reflect(text: str) -> tuple[Reflection, idl.Interface]:
    """Return the reflection of a description, and its interface, whose samples have reflected classes."""
    interface = idl.read(text)
    return Reflection(interface), interface


@pytest.mark.parametrize("protocol", CODECS)
def test_the_bytes_of_the_corpus_are_equal(corpus: Compiled, protocol: str) -> None:
    """Requests, results and exceptions; and each end reads the other one's bytes."""
    reflection, interface = reflect(corpus.compilation.files[FILE_NAME].decode())
    for key in corpus.interface.services:
        compare(corpus.module(key), reflection.stub(key), corpus.interface, interface, protocol)


@pytest.mark.parametrize("protocol", CODECS)
@pytest.mark.parametrize("key", ["calculator.Calculator", "shared.SharedService", "kvstore.KeyValueStore"])
def test_the_bytes_of_the_example_services_are_equal(key: str, protocol: str) -> None:
    """Of stubs that a compiler wrote."""
    stub = importlib.import_module(f"generated.{key}")
    description = idl.load(stub)
    assert description is not None
    reflection, interface = reflect(OWN.read_text("utf-8"))
    compare(stub, reflection.stub(key), description.interface, interface, protocol)


def compare(
    stub: ModuleType, reflected: ModuleType, interface: idl.Interface, own: idl.Interface, protocol: str
) -> None:
    """Compare all methods of a service."""
    ends, others = OurEnds(stub, protocol), OurEnds(reflected, protocol)
    samples, again = Samples(interface), Samples(own)
    service = Stub.of(stub).description
    assert service is not None
    for method in service.methods.values():
        if protocol != "json" or not samples.has_key_without_json(method):
            compare_method(method, (ends, samples), (others, again))


def compare_method(
    method: idl.MethodDescription, compiled: tuple[OurEnds, Samples], reflected: tuple[OurEnds, Samples]
) -> None:
    """Call a method at both, with equal values, once for each kind of answer."""
    for number in range(-1, len(method.throws)):
        if number < 0:
            kind: idl.Type | None = method.returns
        else:
            kind = method.throws[number].type
        how = "returns" if number < 0 else "raises"
        wrote: list[tuple[object, object]] = []
        for ends, samples in (compiled, reflected):
            ends.notes.answer = how, None if kind is None else samples.make(kind)
            arguments = tuple(samples.make(argument.type) for argument in method.arguments)
            ends.notes.taken = []
            request = ends.call(idl.python_name(method.name), arguments)
            reply = ends.serve(request)
            assert exactly(ends.notes.taken) == exactly([arguments]), method.name
            assert exactly(ends.settle(reply)) == exactly(ends.notes.answer), method.name
            wrote.append((unnumbered(ends, request), unnumbered(ends, reply)))
        assert wrote[0] == wrote[1], method.name


def unnumbered(ends: OurEnds, message: bytes) -> object:
    """Return all of a message but its seqid: clients choose their own."""
    if not message:
        return message
    name, kind, _, start = ends.codec.read_header(message)
    return name, kind, message[start:]


def test_unset_fields_have_the_defaults_of_the_idl(corpus: Compiled) -> None:
    """New ones for each struct, also in structs that are defaults, with all digits and control characters."""
    reflection, interface = reflect(corpus.compilation.files[FILE_NAME].decode())
    for key in reflection.services:
        reflection.stub(key)
    assert len(interface.classes) > len(interface.structs) / 2
    for key in interface.classes:
        made: Any = interface.struct_class(key)()
        assert contents(made) == contents(corpus.interface.struct_class(key)()), key
        assert made == interface.struct_class(key)()
    lists = interface.struct_class("defaults.Defaults")
    assert lists().numbers is not lists().numbers


def contents(value: Any) -> Any:
    """Return a value with structs of any class as dicts."""
    if hasattr(value, "thrift_spec"):
        return type(value).__name__, {field[2]: contents(getattr(value, field[2])) for field in fields_of(type(value))}
    if isinstance(value, dict):
        return {contents_key(key): contents(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [contents(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, map(contents, value)))
    return value.decode() if isinstance(value, bytes) else value


def contents_key(key: Any) -> str:
    """Return a key of a map in a form that can be hashed."""
    return repr(contents(key))
