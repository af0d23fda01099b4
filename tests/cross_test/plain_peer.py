"""The example in plain Python as a client and as a worker: pika, and what ``thrift --gen py`` writes."""

from __future__ import annotations

import importlib
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import pika
from twisted.internet.threads import deferToThread

from tests.cross_test.playing import Outcome
from tests.cross_test.programs import FOLDER, SERVICES, stubs, types_of
from tests.cross_test.spying import PATIENCE
from tests.cross_test.values import Answer, Case, Returns, Undeclared, with_classes
from tools.processes import PROJECT

EXAMPLE = PROJECT / "examples" / "python-plain"


@contextmanager
def _searching(folder: str) -> Any:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@cache
def example(module: str) -> Any:
    """Return a module of the example."""
    with _searching(str(EXAMPLE)):
        return importlib.import_module(module)


@cache
def _plain_stubs() -> dict[str, ModuleType]:
    """Compile the IDL as a user of plain Thrift does; return the modules of the services."""
    package = f"plain_{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="plain-stubs-") as folder, _searching(folder):
        for program in SERVICES:
            text = (FOLDER / f"{program}.thrift").read_text("utf-8")
            source = PROJECT.joinpath(folder, f"{program}.thrift")
            source.write_text(f"namespace py {package}.{program}\n{text}", "utf-8")
            subprocess.run(["thrift", "--gen", "py", "-out", folder, str(source)], check=True, capture_output=True)
        return {
            service: importlib.import_module(f"{package}.{program}.{service}")
            for program, services in SERVICES.items()
            for service in services
        }


def _plain_types(service: str) -> ModuleType:
    return types_of(_plain_stubs()[service])


def _ours(value: Any, service: str) -> Any:
    """Return a value of plain Thrift with the classes of our stubs."""
    types = types_of(stubs()[service])

    def inner(value: Any) -> Any:
        kind = type(value)
        if kind.__module__ == _plain_types(service).__name__:
            return getattr(types, kind.__name__)(**{name: inner(field) for name, field in vars(value).items()})
        if kind in (list, tuple, set, frozenset):
            return kind(inner(item) for item in value)
        return {inner(key): inner(item) for key, item in value.items()} if kind is dict else value

    return inner(value)


class PlainDoor:
    """Its client, in a thread that the connection belongs to."""

    def __init__(self, url: str, protocol: str) -> None:
        self._url, self._protocol = url, protocol

    async def open(self) -> None:
        self._connection = await deferToThread(pika.BlockingConnection, pika.URLParameters(f"{self._url}/%2F"))
        self._caller = await deferToThread(example("caller").Caller, self._connection)

    async def call(self, case: Case, service: str, stub: ModuleType, arguments: tuple[Any, ...]) -> Outcome:
        name = case.stub or case.service
        try:
            values = with_classes(case.arguments, _plain_types(name))
            result = await deferToThread(
                self._caller.call,
                _plain_stubs()[name],
                service,
                case.method,
                *values,
                protocol=self._protocol,
                timeout=PATIENCE,
            )
        except Exception as error:  # of the IDL, of Thrift, or of a value that does not encode
            return "raises", _ours(error, name)
        return "returns", _ours(result, name)

    async def close(self) -> None:
        await deferToThread(self._connection.close)


class PlainWorker:
    """Its worker, in a thread."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._answer: Any = None
        self._taken: list[tuple[Any, ...]] = []

    async def open(self, services: Mapping[str, str]) -> None:
        self._connection = await deferToThread(pika.BlockingConnection, pika.URLParameters(f"{self._url}/%2F"))
        self._channel = self._connection.channel()
        for name, service in services.items():
            stub: Any = _plain_stubs()[name]
            methods = [method for method in dir(stub.Iface) if not method.startswith("_")]
            handler = SimpleNamespace(**dict.fromkeys(methods, self._called))
            await deferToThread(example("server").serve, self._channel, stub, service, handler)
        self._thread = threading.Thread(target=self._channel.start_consuming)
        self._thread.start()

    def _called(self, *arguments: Any) -> Any:
        self._taken.append(arguments)
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    async def answer(self, case: Case, answer: Answer) -> None:
        self._taken = []
        told = answer.value if isinstance(answer, Returns) else answer.error
        try:
            self._answer = Undeclared() if told is Undeclared else with_classes(told, _plain_types(case.service))
        except TypeError as error:  # a set cannot have a struct
            self._answer = error

    async def taken(self, case: Case) -> list[tuple[Any, ...]]:
        return [_ours(arguments, case.service) for arguments in self._taken]

    async def close(self) -> None:
        self._connection.add_callback_threadsafe(self._channel.stop_consuming)
        await deferToThread(self._thread.join)
        await deferToThread(self._connection.close)
