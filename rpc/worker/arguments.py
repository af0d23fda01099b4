"""Reads the arguments of requests to one service."""

from __future__ import annotations

from typing import Any

from thrift.Thrift import TApplicationException

from rpc.envelope import MAX_ELEMENTS, differences
from rpc.errors import MalformedMessage, TooManyElements
from rpc.stub import StubMethod
from rpc.worker.rejection import Rejection, too_many_elements
from rpc.worker.request import Request


class ArgumentsReader:
    """Reads arguments by the rules of a service."""

    def __init__(self, service: str, replace: bool = False, most: int = MAX_ELEMENTS) -> None:
        """
        :param replace: whether invalid UTF-8 is replaced instead of refused.
        :param most: elements of a request, at most.
        """
        self._service = service
        self._replace = replace
        self._most = most

    def read(self, request: Request, method: StubMethod, start: int) -> Any:
        """Return the struct of the arguments of a request whose head has been read.

        :param method, start: as :meth:`~rpc.worker.request.Request.read_head` has returned them.
        :raises Rejection: the request is malformed, or has too many elements.
        """
        try:
            struct = request.codec.read_struct(
                request.delivery.body, start, method.arguments_class, self._replace, self._most
            )
        except TooManyElements as error:
            raise too_many_elements(self._service, error.most) from error
        except MalformedMessage as error:
            raise _malformed(str(error), request, method, start) from error
        if method.check_arguments is not None:
            try:
                method.check_arguments(struct)
            except Exception as error:
                raise _malformed(f"{request.label}: {error}", request, method, start) from error
        return struct


def _malformed(text: str, request: Request, method: StubMethod, start: int) -> Rejection:
    """Return the rejection of a request; it says how the IDL of the caller differs from the stub, if it does."""
    told = differences(request.delivery.body, request.codec.content_type, start, method.arguments_class, "the caller")
    return Rejection(TApplicationException.PROTOCOL_ERROR, f"{text}{told}", poison=True)
