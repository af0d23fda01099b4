# Made by `thrift-rpc compile`; it writes over what is changed here.
# mypy: disable-error-code=misc
# pyright: reportSelfClsParameterName=false, reportGeneralTypeIssues=false
from asyncio import Future as _Future
from collections.abc import Callable as _Callable, Coroutine as _Coroutine
from typing import Any as _Any, type_check_only as _type_check_only
from twisted.internet.defer import Deferred as _Deferred
from zope.interface import Interface as _Interface, implementer as _implementer
from .ttypes import *
from . import ttypes as _idl_calculator_ttypes
from ..shared import SharedService as _idl_shared_SharedService

class Iface(_idl_shared_SharedService.Iface):
    """Sums, and answers that show what a transport does with what it carries."""
    def ping() -> None | _Deferred[None] | _Coroutine[_Any, _Any, None]:
        """Do nothing; answers that the service is there."""
        ...
    def add(num1: int, num2: int) -> int | _Deferred[int] | _Coroutine[_Any, _Any, int]:
        """Add two numbers.

        InvalidOperation is thrown when the sum does not fit into 32 bits.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def calculate(logid: int, w: _idl_calculator_ttypes.Work) -> int | _Deferred[int] | _Coroutine[_Any, _Any, int]:
        """Do `work` and note the result under `logid`, where `getStruct` finds it.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def sum(numbers: _idl_calculator_ttypes.Numbers) -> int | _Deferred[int] | _Coroutine[_Any, _Any, int]:
        """Add up any number of numbers; 0 for none.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def echo(work: _idl_calculator_ttypes.Work) -> _idl_calculator_ttypes.Work | _Deferred[_idl_calculator_ttypes.Work] | _Coroutine[_Any, _Any, _idl_calculator_ttypes.Work]:
        """Answer `work` as it came, defaults filled in."""
        ...
    def blob(data: bytes) -> bytes | _Deferred[bytes] | _Coroutine[_Any, _Any, bytes]:
        """Answer the bytes that came."""
        ...
    def zip() -> None | _Deferred[None] | _Coroutine[_Any, _Any, None]:
        """Ask for something to be done; nobody waits for an answer.

        Oneway: there is no answer.
        """
        ...

@_implementer(Iface)
class Client(_idl_shared_SharedService.Client):
    """Sums, and answers that show what a transport does with what it carries."""
    def __init__(self, transport: _Any, oprot_factory: _Any) -> None: ...
    def ping(self) -> _Deferred[None]:
        """Do nothing; answers that the service is there."""
        ...
    def add(self, num1: int, num2: int) -> _Deferred[int]:
        """Add two numbers.

        InvalidOperation is thrown when the sum does not fit into 32 bits.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def calculate(self, logid: int, w: _idl_calculator_ttypes.Work) -> _Deferred[int]:
        """Do `work` and note the result under `logid`, where `getStruct` finds it.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def sum(self, numbers: _idl_calculator_ttypes.Numbers) -> _Deferred[int]:
        """Add up any number of numbers; 0 for none.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def echo(self, work: _idl_calculator_ttypes.Work) -> _Deferred[_idl_calculator_ttypes.Work]:
        """Answer `work` as it came, defaults filled in."""
        ...
    def blob(self, data: bytes) -> _Deferred[bytes]:
        """Answer the bytes that came."""
        ...
    def zip(self) -> _Deferred[None]:
        """Ask for something to be done; nobody waits for an answer.

        Oneway: there is no answer.
        """
        ...

@_type_check_only
class AsyncioClient(_idl_shared_SharedService.AsyncioClient):
    """Sums, and answers that show what a transport does with what it carries."""
    def ping(self) -> _Future[None]:
        """Do nothing; answers that the service is there."""
        ...
    def add(self, num1: int, num2: int) -> _Future[int]:
        """Add two numbers.

        InvalidOperation is thrown when the sum does not fit into 32 bits.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def calculate(self, logid: int, w: _idl_calculator_ttypes.Work) -> _Future[int]:
        """Do `work` and note the result under `logid`, where `getStruct` finds it.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def sum(self, numbers: _idl_calculator_ttypes.Numbers) -> _Future[int]:
        """Add up any number of numbers; 0 for none.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def echo(self, work: _idl_calculator_ttypes.Work) -> _Future[_idl_calculator_ttypes.Work]:
        """Answer `work` as it came, defaults filled in."""
        ...
    def blob(self, data: bytes) -> _Future[bytes]:
        """Answer the bytes that came."""
        ...
    def zip(self) -> _Future[None]:
        """Ask for something to be done; nobody waits for an answer.

        Oneway: there is no answer.
        """
        ...

@_type_check_only
class BlockingClient(_idl_shared_SharedService.BlockingClient):
    """Sums, and answers that show what a transport does with what it carries."""
    def ping(self) -> None:
        """Do nothing; answers that the service is there."""
        ...
    def add(self, num1: int, num2: int) -> int:
        """Add two numbers.

        InvalidOperation is thrown when the sum does not fit into 32 bits.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def calculate(self, logid: int, w: _idl_calculator_ttypes.Work) -> int:
        """Do `work` and note the result under `logid`, where `getStruct` finds it.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def sum(self, numbers: _idl_calculator_ttypes.Numbers) -> int:
        """Add up any number of numbers; 0 for none.

        :raises InvalidOperation: as ``ouch`` of the IDL.
        """
        ...
    def echo(self, work: _idl_calculator_ttypes.Work) -> _idl_calculator_ttypes.Work:
        """Answer `work` as it came, defaults filled in."""
        ...
    def blob(self, data: bytes) -> bytes:
        """Answer the bytes that came."""
        ...
    def zip(self) -> None:
        """Ask for something to be done; nobody waits for an answer.

        Oneway: there is no answer.
        """
        ...

class Processor(_idl_shared_SharedService.Processor):
    def __init__(self, handler: Iface) -> None: ...
    def on_message_begin(self, func: _Callable[..., _Any]) -> None: ...
    def process(self, iprot: _Any, oprot: _Any) -> _Deferred[None]: ...
