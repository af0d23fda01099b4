"""The operation of a stub's method: arguments become a Thrift message, and a reply becomes a result."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import attrs
from thrift.Thrift import TApplicationException, TMessageType

from rpc.client.operation import Operation
from rpc.client.options import Options
from rpc.envelope import REPLACE, differences, has_unknown_exception, misfit, read_application_exception
from rpc.errors import InvalidReply, InvalidRequest, MalformedMessage
from rpc.struct_checks import Check
from rpc.stub import StubMethod

EMPTY_STRUCT = 1
"""Bytes of a struct without fields, in the binary and in the compact protocol."""

EMPTY_JSON_STRUCT = b"{}]"


OPTION_NAMES = frozenset(Options.__annotations__)
"""Clients of other libraries, such as gRPC's, take options as arguments of a call."""


@attrs.define(eq=False, slots=False)
class StubOperation(Operation):
    """A method of a stub."""

    method: StubMethod = attrs.field(kw_only=True)
    _replace: bool = attrs.field(init=False)  # invalid UTF-8 in a reply
    _most: int = attrs.field(init=False)  # elements of a reply

    @_replace.default
    def _replaces_invalid_utf8(self) -> bool:
        return self.options.invalid_utf8 == REPLACE

    @_most.default
    def _most_elements(self) -> int:
        return self.options.max_elements

    def encode(self, seqid: int, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bytes:
        method = self.method
        if keywords or len(arguments) != len(method.argument_names):
            arguments = self._bind(arguments, keywords)
        try:
            struct = method.arguments_class(*arguments)
            if method.check_arguments is not None:
                method.check_arguments(struct)
            kind = TMessageType.ONEWAY if self.oneway else TMessageType.CALL
            body = self.codec.encode(method.name, kind, seqid, struct)
        except Exception as error:
            why = self._misfit(arguments) or f"the arguments do not fit the IDL: {type(error).__name__}: {error}"
            raise InvalidRequest(f"{self._shown}: {why[:300]}") from error
        if len(body) > self.options.max_message_size:
            raise self.too_large(len(body))
        return body

    @property
    def _shown(self) -> str:
        return f"{self.label}({', '.join(self.method.argument_names)})"

    def _bind(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
        unexpected = [repr(name) for name in keywords if name not in self.method.argument_names]
        if unexpected:  # often a name is misspelt, and Python would complain that the right one is missing
            plural = "s" if len(unexpected) > 1 else ""
            option = next((name for name in keywords if name in OPTION_NAMES), None)
            hint = f"; an option is set by rpc.with_options(client, {option}=...)" if option else ""
            raise TypeError(f"{self._shown}: unexpected argument{plural} {', '.join(unexpected)}{hint}")
        try:
            return self.method.signature.bind(*arguments, **keywords).args
        except TypeError as error:
            raise TypeError(f"{self._shown}: {error}") from None

    def _misfit(self, arguments: tuple[Any, ...]) -> str | None:
        """Name the argument that does not fit, or the value inside it."""
        arguments_class: Any = self.method.arguments_class
        given = dict(zip(self.method.argument_names, arguments, strict=True))
        found = misfit(arguments_class, SimpleNamespace(**given))
        if found is not None:
            path, reason = found
            return f"argument {path!r}: {reason}" if path in given else f"{path}: {reason}"
        for name, value in given.items():  # it is too deep, or has no form in this protocol
            try:
                self.codec.encode(self.method.name, TMessageType.CALL, 1, arguments_class(**{name: value}))
            except Exception as error:
                return f"argument {name!r}: {type(value).__name__} does not fit ({type(error).__name__}: {error})"
        return None

    def decode(self, seqid: int, body: bytes) -> tuple[Any, Exception | None]:
        method = self.method
        try:
            name, kind, answered, start = self.codec.read_header(body)
            if answered != seqid or kind != TMessageType.REPLY or name != method.name or method.result_class is None:
                return None, self._read_exception(seqid, body)
            result = self.codec.read_struct(body, start, method.result_class, self._replace, self._most)
            if method.check_result is not None:
                _check(method.check_result, result)
        except MalformedMessage as error:
            raise InvalidReply(f"{self.label}: the reply is {error}{self._differences(body)}") from error
        if method.has_result and result.success is not None:
            return result.success, None
        for name, _ in method.throws:
            exception = getattr(result, name)
            if exception is not None:
                return None, exception
        if not method.has_result and (
            len(body) - start == EMPTY_STRUCT
            or body.endswith(EMPTY_JSON_STRUCT)
            or not has_unknown_exception(body, self.codec.content_type, start, method.result_class)
        ):
            return None, None
        unknown = f"{method.name} failed: unknown result{self._differences(body)}"
        return None, TApplicationException(TApplicationException.MISSING_RESULT, unknown)

    def _differences(self, body: bytes) -> str:
        """Return how the IDL of the worker that has sent this result differs from the stub."""
        try:
            _, kind, _, start = self.codec.read_header(body)
        except MalformedMessage:
            return ""
        result_class = self.method.result_class
        if kind != TMessageType.REPLY or result_class is None:
            return ""
        return differences(body, self.codec.content_type, start, result_class, "the worker")

    def _read_exception(self, seqid: int, body: bytes) -> Exception:
        """Read a reply that is no result: Thrift's exception.

        :raises MalformedMessage: the message does not answer this call.
        """
        name, kind, answered, start = self.codec.read_header(body)
        check_reply_header(kind, answered, seqid)
        if kind == TMessageType.EXCEPTION:
            return read_application_exception(self.codec, body, start, self._replace, self._most)
        if name != self.method.name:
            raise MalformedMessage(f"the answer of {name[:80]!r}")
        raise MalformedMessage("the answer to a oneway method")


def check_reply_header(kind: int, answered: int, seqid: int) -> None:
    """Compare the head of a reply with its call.

    :raises MalformedMessage: the message is no reply, or has another seqid.
    """
    if kind not in (TMessageType.REPLY, TMessageType.EXCEPTION):
        raise MalformedMessage(f"of Thrift's message type {kind}, not a REPLY or EXCEPTION")
    if answered != seqid:
        raise MalformedMessage(f"the answer to seqid {answered}, not {seqid}")


def _check(check: Check, result: object) -> None:
    try:
        check(result)
    except Exception as error:
        raise MalformedMessage(str(error)) from error
