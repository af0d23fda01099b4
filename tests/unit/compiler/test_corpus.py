"""The corpus of IDLs: each is compiled, imported, type-checked, and called in all protocols.

It is compiled in one go, by each Thrift compiler of this machine.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from thrift.Thrift import TMessageType, TType
from thrift.transport.TTransport import TMemoryBuffer

from rpc import idl
from rpc.compiler import Compilation, compile_idl, install
from rpc.envelope import CODECS
from rpc.errors import InvalidRequest
from rpc.stub import Stub
from tests import idl_corpus
from tests.idl_corpus.compilers import RENAMES_KEYWORDS, compilers
from tests.idl_corpus.samples import Samples
from tests.unit.generated_ends import FACTORIES, OurEnds, exactly

pytestmark = pytest.mark.slow

CORPUS = Path(idl_corpus.__file__).parent
COMPILERS = compilers()

_folder = tempfile.TemporaryDirectory(prefix="corpus-")  # until the process ends: stubs are imported from it
sys.path.append(_folder.name)


@attrs.frozen
class Compiled:
    """The corpus, compiled by one compiler.

    :ivar package: the importable name of the output.
    """

    package: str
    compilation: Compilation
    interface: idl.Interface

    def module(self, name: str) -> ModuleType:
        """Import a module of the output."""
        return importlib.import_module(f"{self.package}.{name}")


@cache
def compiled(release: str) -> Compiled:
    """Compile the corpus with a compiler."""
    compiler = COMPILERS[release]
    folders = [CORPUS / "idl", *([CORPUS / "newer"] if compiler.version >= RENAMES_KEYWORDS else [])]
    compilation = compile_idl(folders, thrift=compiler.path)
    package = f"corpus_{release.replace('.', '_')}"
    install(Path(_folder.name, package), compilation.files)
    importlib.invalidate_caches()
    stub = importlib.import_module(f"{package}.many_types.Types")
    description = idl.load(stub)
    assert description is not None
    return Compiled(package, compilation, description.interface)


@pytest.fixture(params=COMPILERS)
def corpus(request: pytest.FixtureRequest) -> Compiled:
    """Return the corpus of each compiler."""
    return compiled(request.param)


def test_every_module_imports(corpus: Compiled) -> None:
    """Also those of constants, whose values Python must be able to hold."""
    modules = [path for path in corpus.compilation.files if path.endswith(".py") and not path.endswith("__init__.py")]
    for path in modules:
        module = corpus.module(path.removesuffix(".py").replace("/", "."))
        assert module.__name__.startswith(corpus.package)
    assert len(modules) > 120


def test_every_service_is_a_stub(corpus: Compiled) -> None:
    """With the methods that its IDL has."""
    for service in corpus.interface.services.values():
        stub = Stub.of(corpus.module(service.module))
        assert list(stub.methods) == sorted(service.methods)


@pytest.mark.parametrize("protocol", CODECS)
def test_every_method_takes_and_returns_every_value(corpus: Compiled, protocol: str) -> None:
    """Arguments, results and exceptions arrive as they were sent, with their types.

    Structs, lists, sets and maps as keys are left out for JSON, where keys are strings.
    """
    samples = Samples(corpus.interface)
    for service in corpus.interface.services.values():
        ends = OurEnds(corpus.module(service.module), protocol)
        for method in service.methods.values():
            if protocol != "json" or not samples.has_key_without_json(method):
                check_method(ends, method, samples)


def check_method(ends: OurEnds, method: idl.MethodDescription, samples: Samples) -> None:
    """Call a method with sample arguments, once for each kind of answer."""
    answers = [("returns", None if method.returns is None else samples.make(method.returns))]
    answers += [("raises", samples.make(error.type)) for error in method.throws]
    for answer in answers:
        arguments = tuple(samples.make(argument.type) for argument in method.arguments)
        ends.notes.taken, ends.notes.answer = [], answer
        outcome = ends.settle(ends.serve(ends.call(idl.python_name(method.name), arguments)))
        assert exactly(ends.notes.taken) == exactly([arguments]), method.name
        assert exactly(outcome) == exactly(answer), method.name


@pytest.mark.parametrize("protocol", CODECS)
def test_an_unset_required_field_is_refused_on_both_sides(corpus: Compiled, protocol: str) -> None:
    """Inside of another struct. Only some compilers have ``write`` check it."""
    ends = OurEnds(corpus.module("requiredness.Requiring"), protocol)
    assert ends.call("keep", (corpus.module("requiredness.ttypes").optional_ignored(),)) == b""
    _, error = ends.settle(b"")
    assert isinstance(error, InvalidRequest)
    reply = ends.serve(unset_argument(FACTORIES[protocol][0], "keep"))
    assert CODECS[protocol].read_header(reply)[1] == TMessageType.EXCEPTION
    assert b"Required field data is unset" in reply


def unset_argument(factory: Any, method: str) -> bytes:
    """Return a request whose first argument is a struct without fields."""
    transport = TMemoryBuffer()
    protocol = factory.getProtocol(transport)
    protocol.writeMessageBegin(method, TMessageType.CALL, 1)
    protocol.writeStructBegin("arguments")
    protocol.writeFieldBegin("it", TType.STRUCT, 1)
    protocol.writeStructBegin("it")
    protocol.writeFieldStop()
    protocol.writeStructEnd()
    protocol.writeFieldEnd()
    protocol.writeFieldStop()
    protocol.writeStructEnd()
    protocol.writeMessageEnd()
    return transport.getvalue()


@pytest.mark.parametrize("protocol", CODECS)
@pytest.mark.parametrize("service", ("recursion.Recursions", "slow_recursion.SlowRecursions"))
def test_structs_may_be_nested_as_deeply_with_each_compiler(corpus: Compiled, service: str, protocol: str) -> None:
    """The C extension's limit, which the others have as well: 64 structs, with that of the arguments."""
    stub: Any = corpus.module(service)
    ends = OurEnds(stub, protocol)

    def chain(length: int) -> Any:
        made = None
        for value in range(length):
            made = stub.Chain(value=value, next=made)
        return made

    ends.notes.answer = "returns", chain(63)
    assert ends.settle(ends.serve(ends.call("longer", (chain(63),)))) == ("returns", chain(63))
    assert ends.call("longer", (chain(64),)) == b""
    _, error = ends.settle(b"")
    assert isinstance(error, InvalidRequest)


def test_the_types_pass_mypy(corpus: Compiled) -> None:
    """In strict mode."""
    (Path(_folder.name) / "mypy.ini").write_text(
        "[mypy]\nplugins = mypy_zope:plugin\nstrict = True\n[mypy-thrift.*]\nignore_missing_imports = True\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "-p", corpus.package],
        cwd=_folder.name,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout + done.stderr) == ""
