# Made by `thrift-rpc compile`; it writes over what is changed here.
# mypy: disable-error-code=misc
# pyright: reportSelfClsParameterName=false, reportGeneralTypeIssues=false
from asyncio import Future as _Future
from collections.abc import Callable as _Callable, Coroutine as _Coroutine
from typing import Any as _Any, type_check_only as _type_check_only
from twisted.internet.defer import Deferred as _Deferred
from zope.interface import Interface as _Interface, implementer as _implementer
from .ttypes import *
from . import ttypes as _idl_report_ttypes

class Iface(_Interface):
    """Reads documents from `kvstore.KeyValueStore`, and has `calculator.Calculator` add up what it counts in them."""
    def summarize(prefix: str, limit: int) -> _idl_report_ttypes.Summary | _Deferred[_idl_report_ttypes.Summary] | _Coroutine[_Any, _Any, _idl_report_ttypes.Summary]:
        """Give the figures of the first `limit` documents whose keys begin with `prefix`.

        InvalidArgument is thrown for a limit below 1; InvalidOperation when a sum becomes too large for the calculator.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...

@_implementer(Iface)
class Client:
    """Reads documents from `kvstore.KeyValueStore`, and has `calculator.Calculator` add up what it counts in them."""
    def __init__(self, transport: _Any, oprot_factory: _Any) -> None: ...
    def summarize(self, prefix: str, limit: int) -> _Deferred[_idl_report_ttypes.Summary]:
        """Give the figures of the first `limit` documents whose keys begin with `prefix`.

        InvalidArgument is thrown for a limit below 1; InvalidOperation when a sum becomes too large for the calculator.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...

@_type_check_only
class AsyncioClient:
    """Reads documents from `kvstore.KeyValueStore`, and has `calculator.Calculator` add up what it counts in them."""
    def summarize(self, prefix: str, limit: int) -> _Future[_idl_report_ttypes.Summary]:
        """Give the figures of the first `limit` documents whose keys begin with `prefix`.

        InvalidArgument is thrown for a limit below 1; InvalidOperation when a sum becomes too large for the calculator.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...

@_type_check_only
class BlockingClient:
    """Reads documents from `kvstore.KeyValueStore`, and has `calculator.Calculator` add up what it counts in them."""
    def summarize(self, prefix: str, limit: int) -> _idl_report_ttypes.Summary:
        """Give the figures of the first `limit` documents whose keys begin with `prefix`.

        InvalidArgument is thrown for a limit below 1; InvalidOperation when a sum becomes too large for the calculator.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...

class Processor:
    def __init__(self, handler: Iface) -> None: ...
    def on_message_begin(self, func: _Callable[..., _Any]) -> None: ...
    def process(self, iprot: _Any, oprot: _Any) -> _Deferred[None]: ...
