"""The body of a dead letter as text: the arguments of the call when the stub is known, otherwise its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import attrs

from rpc.amqp.content import Delivery
from rpc.cli.dead_letters import Letter
from rpc.cli.targets import Target
from rpc.cli.values import Values
from rpc.idl import ServiceDescription, python_name
from rpc.printable import printable
from rpc.stub import Stub, StubMethod
from rpc.worker.arguments import ArgumentsReader
from rpc.worker.rejection import Rejection
from rpc.worker.request import Request

BYTES_A_LINE: Final = 16


@attrs.frozen
class Arguments:
    """Decodes the arguments of a service's requests."""

    _service: ServiceDescription
    _methods: dict[str, StubMethod]
    _values: Values

    @classmethod
    def of(cls, stub: str) -> Arguments:
        """Read the stub module `stub`.

        :raises ConfigurationError: the module does not import, is no stub, or has no ``idl.json``.
        """
        target = Target.compiled(stub)
        return cls(target.description, Stub.of(target.stub).methods, Values(target.description.interface))

    def show(self, delivery: Delivery) -> str:
        """Return ``method {arguments as JSON}``.

        :raises ValueError: the letter is no request of the service; the text is that of a worker's rejection.
        """
        try:
            request = Request(delivery, 0.0, reply_queues=(b"",))
            method, start = request.read_head(self._service.name, self._methods)
            arguments = ArgumentsReader(self._service.name).read(request, method, start)
            fields = self._service.methods[method.name].arguments
            given = {field.name: (field.type, getattr(arguments, python_name(field.name))) for field in fields}
            shown = {
                name: self._values.to_json(kind, value) for name, (kind, value) in given.items() if value is not None
            }
        except Rejection as rejection:
            raise ValueError(str(rejection)) from rejection
        except RecursionError:
            raise ValueError("nested too deeply") from None
        return f"{method.name} {printable(json.dumps(shown, ensure_ascii=False))}"


def body_lines(letter: Letter, arguments: Arguments | None, most: int) -> Iterator[str]:
    """Yield the lines of a letter's body: the arguments if they are asked for and can be read, or its first bytes."""
    assert letter.content is not None
    if letter.original_size is not None:
        yield f"only the first {letter.size} of {letter.original_size} bytes were kept; it cannot be replayed"
        if letter.sha256 is not None:
            yield f"SHA-256 of all bytes: {printable(letter.sha256)}"
    elif arguments is not None:
        try:
            yield f"arguments: {arguments.show(letter.content)}"
            return
        except ValueError as error:
            yield "no arguments, for that reason" if str(error) == letter.reason else f"no arguments: {error}"
    yield f"body: {letter.size} bytes"
    yield from dump(letter.content.body, most)


def dump(body: bytes, most: int) -> Iterator[str]:
    """Yield lines of the first `most` bytes: offset, hexadecimal digits, and printable ASCII characters."""
    for offset in range(0, min(len(body), most), BYTES_A_LINE):
        piece = body[offset : min(offset + BYTES_A_LINE, most)]
        characters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)
        yield f"{offset:08x}  {piece.hex(' '):<{3 * BYTES_A_LINE - 1}}  {characters}"
    if len(body) > most:
        yield f"and {len(body) - most} more (see --bytes)"
