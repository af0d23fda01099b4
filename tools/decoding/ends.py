"""Decoding a message as worker and client do, without a broker."""

from __future__ import annotations

import importlib
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from thrift.Thrift import TType

from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.content import Delivery
from rpc.client.options import ClientOptions
from rpc.client.stub_operation import StubOperation
from rpc.compiler import compile_idl, install
from rpc.envelope import CODECS, MAX_ELEMENTS
from rpc.errors import InvalidReply, MalformedMessage
from rpc.messages import Properties
from rpc.stub import Stub
from rpc.worker.arguments import ArgumentsReader
from rpc.worker.rejection import Rejection
from rpc.worker.request import Request
from tools.decoding.shapes import IDL, OF_UUIDS


class Ends:
    """The service of the shapes, at both ends.

    :param most: the option ``max_elements`` of both.
    """

    def __init__(self, most: int = MAX_ELEMENTS) -> None:
        self._stub = Stub.of(_compiled())
        self._most = most

    def decode(self, end: str, protocol: str, body: bytes) -> str:
        """Decode a message at ``worker`` or ``client``; return why it was refused, or ``""``."""
        return self._at_worker(protocol, body) if end == "worker" else self._at_client(protocol, body)

    def _at_worker(self, protocol: str, body: bytes) -> str:
        properties = encode_properties(Properties(content_type=CODECS[protocol].content_type))
        channel: Any = None
        request = Request(Delivery(channel, 1, False, b"", properties, body), 0.0)
        try:
            method, start = request.read_head("Shapes", self._stub.methods)
            ArgumentsReader("Shapes", most=self._most).read(request, method, start)
        except Rejection as rejection:
            return str(rejection)
        return ""

    def _at_client(self, protocol: str, body: bytes) -> str:
        try:
            name = CODECS[protocol].read_header(body)[0]
        except MalformedMessage:
            name = "number"
        operation = StubOperation(
            name=name,
            oneway=False,
            options=ClientOptions(protocol=protocol, max_elements=self._most),
            service="Shapes",
            timeout=1.0,
            method=self._stub.methods.get(name, self._stub.methods["number"]),
        )
        try:
            operation.decode(1, body)
        except InvalidReply as error:
            return str(error)
        return ""


@cache
def _compiled() -> Any:
    """Return the module of the service. It is in memory then, so its files are not kept."""
    with tempfile.TemporaryDirectory(prefix="shapes-") as name:
        folder = Path(name)
        source = folder / "shapes.thrift"
        source.write_text(f"namespace py shapes\n{IDL}", "utf-8")
        install(folder / "shapes_stub", compile_idl([source]).files)
        sys.path.append(name)
        try:
            module = importlib.import_module("shapes_stub.shapes.Shapes")
        finally:
            sys.path.remove(name)
    for method in OF_UUIDS:
        _change_to_uuids(getattr(module, f"{method}_args"))
        _change_to_uuids(getattr(module, f"{method}_result"))
    return module


def _change_to_uuids(struct: Any) -> None:
    """Make the elements or keys of the only field UUIDs: the oldest Thrift compiler does not know the type."""
    struct.thrift_spec = tuple(
        field and (*field[:3], (TType.UUID, *field[3][1:]), *field[4:]) for field in struct.thrift_spec
    )
