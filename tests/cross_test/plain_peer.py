"""The example in plain Python as a client and as a worker: pika, and the stubs of ``thrift --gen py``."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable, Mapping
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import pika
from twisted.internet.threads import deferToThread

from tests.cross_test.plain_stubs import ours, plain_stubs, plain_types, searching
from tests.cross_test.playing import Outcome
from tests.cross_test.spying import PATIENCE
from tests.cross_test.values import Answer, Case, Returns, Undeclared, with_classes
from tools.processes import PROJECT

EXAMPLE = PROJECT / "examples" / "python-plain"


@cache
def example(module: str) -> Any:
    """Return a module of the example."""
    with searching(str(EXAMPLE)):
        return importlib.import_module(module)


class PlainDoor:
    """Its client, in a thread that the connection belongs to."""

    def __init__(self, url: str, protocol: str) -> None:
        self._url, self._protocol = url, protocol

    async def open(self, services: Iterable[str]) -> None:
        self._connection = await deferToThread(pika.BlockingConnection, pika.URLParameters(f"{self._url}/%2F"))
        self._caller = await deferToThread(example("caller").Caller, self._connection)

    async def call(self, case: Case, service: str, stub: ModuleType, arguments: tuple[Any, ...]) -> Outcome:
        name = case.stub or case.service
        try:
            values = with_classes(case.arguments, plain_types(name))
            result = await deferToThread(
                self._caller.call,
                plain_stubs()[name],
                service,
                case.method,
                *values,
                protocol=self._protocol,
                timeout=PATIENCE,
            )
        except Exception as error:  # of the IDL, of Thrift, or of a value that does not encode
            return "raises", ours(error, name)
        return "returns", ours(result, name)

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
            stub: Any = plain_stubs()[name]
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
            self._answer = Undeclared() if told is Undeclared else with_classes(told, plain_types(case.service))
        except TypeError as error:  # a set cannot have a struct
            self._answer = error

    async def taken(self, case: Case) -> list[tuple[Any, ...]]:
        return [ours(arguments, case.service) for arguments in self._taken]

    async def close(self) -> None:
        self._connection.add_callback_threadsafe(self._channel.stop_consuming)
        await deferToThread(self._thread.join)
        await deferToThread(self._connection.close)
