# Made by `thrift-rpc compile`; it writes over what is changed here.
# mypy: disable-error-code=misc
# pyright: reportSelfClsParameterName=false, reportGeneralTypeIssues=false
from asyncio import Future as _Future
from collections.abc import Callable as _Callable, Coroutine as _Coroutine
from typing import Any as _Any, type_check_only as _type_check_only
from twisted.internet.defer import Deferred as _Deferred
from zope.interface import Interface as _Interface, implementer as _implementer
from .ttypes import *
from . import ttypes as _idl_shared_ttypes

class Iface(_Interface):
    """A service that remembers its results and gives them back by log id."""
    def getStruct(key: int) -> _idl_shared_ttypes.SharedStruct | _Deferred[_idl_shared_ttypes.SharedStruct] | _Coroutine[_Any, _Any, _idl_shared_ttypes.SharedStruct]:
        """Look up what was noted under a log id.

        The value is the empty string when nothing was noted.
        """
        ...

@_implementer(Iface)
class Client:
    """A service that remembers its results and gives them back by log id."""
    def __init__(self, transport: _Any, oprot_factory: _Any) -> None: ...
    def getStruct(self, key: int) -> _Deferred[_idl_shared_ttypes.SharedStruct]:
        """Look up what was noted under a log id.

        The value is the empty string when nothing was noted.
        """
        ...

@_type_check_only
class AsyncioClient:
    """A service that remembers its results and gives them back by log id."""
    def getStruct(self, key: int) -> _Future[_idl_shared_ttypes.SharedStruct]:
        """Look up what was noted under a log id.

        The value is the empty string when nothing was noted.
        """
        ...

@_type_check_only
class BlockingClient:
    """A service that remembers its results and gives them back by log id."""
    def getStruct(self, key: int) -> _idl_shared_ttypes.SharedStruct:
        """Look up what was noted under a log id.

        The value is the empty string when nothing was noted.
        """
        ...

class Processor:
    def __init__(self, handler: Iface) -> None: ...
    def on_message_begin(self, func: _Callable[..., _Any]) -> None: ...
    def process(self, iprot: _Any, oprot: _Any) -> _Deferred[None]: ...
