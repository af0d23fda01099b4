# Made by `thrift-rpc compile`; it writes over what is changed here.
# mypy: disable-error-code=misc
# pyright: reportSelfClsParameterName=false, reportGeneralTypeIssues=false
from asyncio import Future as _Future
from collections.abc import Callable as _Callable, Coroutine as _Coroutine
from typing import Any as _Any, type_check_only as _type_check_only
from twisted.internet.defer import Deferred as _Deferred
from zope.interface import Interface as _Interface, implementer as _implementer
from .ttypes import *
from . import ttypes as _idl_control_ttypes

class Iface(_Interface):
    """Answered by every worker, also while all its slots are taken and while it stops."""
    def getName() -> str | _Deferred[str] | _Coroutine[_Any, _Any, str]:
        """The names of the worker's services, with commas."""
        ...
    def getVersion() -> str | _Deferred[str] | _Coroutine[_Any, _Any, str]:
        """The version of thrift-amqp-rpc."""
        ...
    def getStatus() -> int | _Deferred[int] | _Coroutine[_Any, _Any, int]:
        ...
    def getStatusDetails() -> str | _Deferred[str] | _Coroutine[_Any, _Any, str]:
        """The status in words, with the reason."""
        ...
    def getCounters() -> dict[str, int] | _Deferred[dict[str, int]] | _Coroutine[_Any, _Any, dict[str, int]]:
        """Numbers by name: <service>.running, .waiting, .concurrency, and, if the worker counts calls, .calls, .exceptions
        (of the IDL) and .errors (all other ends without a result).
        """
        ...
    def getCounter(key: str) -> int | _Deferred[int] | _Coroutine[_Any, _Any, int]:
        """:raises UnknownKey: as ``unknown`` of the IDL."""
        ...
    def getOptions() -> dict[str, str] | _Deferred[dict[str, str]] | _Coroutine[_Any, _Any, dict[str, str]]:
        """The worker's own options."""
        ...
    def getOption(key: str) -> str | _Deferred[str] | _Coroutine[_Any, _Any, str]:
        """:raises UnknownKey: as ``unknown`` of the IDL."""
        ...
    def aliveSince() -> int | _Deferred[int] | _Coroutine[_Any, _Any, int]:
        """When the worker was started, in seconds since 1970."""
        ...
    def ping() -> _idl_control_ttypes.Pong | _Deferred[_idl_control_ttypes.Pong] | _Coroutine[_Any, _Any, _idl_control_ttypes.Pong]:
        ...
    def describe(name: str) -> _idl_control_ttypes.WorkerDescription | _Deferred[_idl_control_ttypes.WorkerDescription] | _Coroutine[_Any, _Any, _idl_control_ttypes.WorkerDescription]:
        """The worker and its services; with a name, this service alone and its idl.json."""
        ...
    def stats(name: str) -> _idl_control_ttypes.WorkerStats | _Deferred[_idl_control_ttypes.WorkerStats] | _Coroutine[_Any, _Any, _idl_control_ttypes.WorkerStats]:
        """What the worker has counted; with a name, for this service alone."""
        ...

@_implementer(Iface)
class Client:
    """Answered by every worker, also while all its slots are taken and while it stops."""
    def __init__(self, transport: _Any, oprot_factory: _Any) -> None: ...
    def getName(self) -> _Deferred[str]:
        """The names of the worker's services, with commas."""
        ...
    def getVersion(self) -> _Deferred[str]:
        """The version of thrift-amqp-rpc."""
        ...
    def getStatus(self) -> _Deferred[int]:
        ...
    def getStatusDetails(self) -> _Deferred[str]:
        """The status in words, with the reason."""
        ...
    def getCounters(self) -> _Deferred[dict[str, int]]:
        """Numbers by name: <service>.running, .waiting, .concurrency, and, if the worker counts calls, .calls, .exceptions
        (of the IDL) and .errors (all other ends without a result).
        """
        ...
    def getCounter(self, key: str) -> _Deferred[int]:
        """:raises UnknownKey: as ``unknown`` of the IDL."""
        ...
    def getOptions(self) -> _Deferred[dict[str, str]]:
        """The worker's own options."""
        ...
    def getOption(self, key: str) -> _Deferred[str]:
        """:raises UnknownKey: as ``unknown`` of the IDL."""
        ...
    def aliveSince(self) -> _Deferred[int]:
        """When the worker was started, in seconds since 1970."""
        ...
    def ping(self) -> _Deferred[_idl_control_ttypes.Pong]:
        ...
    def describe(self, name: str) -> _Deferred[_idl_control_ttypes.WorkerDescription]:
        """The worker and its services; with a name, this service alone and its idl.json."""
        ...
    def stats(self, name: str) -> _Deferred[_idl_control_ttypes.WorkerStats]:
        """What the worker has counted; with a name, for this service alone."""
        ...

@_type_check_only
class AsyncioClient:
    """Answered by every worker, also while all its slots are taken and while it stops."""
    def getName(self) -> _Future[str]:
        """The names of the worker's services, with commas."""
        ...
    def getVersion(self) -> _Future[str]:
        """The version of thrift-amqp-rpc."""
        ...
    def getStatus(self) -> _Future[int]:
        ...
    def getStatusDetails(self) -> _Future[str]:
        """The status in words, with the reason."""
        ...
    def getCounters(self) -> _Future[dict[str, int]]:
        """Numbers by name: <service>.running, .waiting, .concurrency, and, if the worker counts calls, .calls, .exceptions
        (of the IDL) and .errors (all other ends without a result).
        """
        ...
    def getCounter(self, key: str) -> _Future[int]:
        """:raises UnknownKey: as ``unknown`` of the IDL."""
        ...
    def getOptions(self) -> _Future[dict[str, str]]:
        """The worker's own options."""
        ...
    def getOption(self, key: str) -> _Future[str]:
        """:raises UnknownKey: as ``unknown`` of the IDL."""
        ...
    def aliveSince(self) -> _Future[int]:
        """When the worker was started, in seconds since 1970."""
        ...
    def ping(self) -> _Future[_idl_control_ttypes.Pong]:
        ...
    def describe(self, name: str) -> _Future[_idl_control_ttypes.WorkerDescription]:
        """The worker and its services; with a name, this service alone and its idl.json."""
        ...
    def stats(self, name: str) -> _Future[_idl_control_ttypes.WorkerStats]:
        """What the worker has counted; with a name, for this service alone."""
        ...

@_type_check_only
class BlockingClient:
    """Answered by every worker, also while all its slots are taken and while it stops."""
    def getName(self) -> str:
        """The names of the worker's services, with commas."""
        ...
    def getVersion(self) -> str:
        """The version of thrift-amqp-rpc."""
        ...
    def getStatus(self) -> int:
        ...
    def getStatusDetails(self) -> str:
        """The status in words, with the reason."""
        ...
    def getCounters(self) -> dict[str, int]:
        """Numbers by name: <service>.running, .waiting, .concurrency, and, if the worker counts calls, .calls, .exceptions
        (of the IDL) and .errors (all other ends without a result).
        """
        ...
    def getCounter(self, key: str) -> int:
        """:raises UnknownKey: as ``unknown`` of the IDL."""
        ...
    def getOptions(self) -> dict[str, str]:
        """The worker's own options."""
        ...
    def getOption(self, key: str) -> str:
        """:raises UnknownKey: as ``unknown`` of the IDL."""
        ...
    def aliveSince(self) -> int:
        """When the worker was started, in seconds since 1970."""
        ...
    def ping(self) -> _idl_control_ttypes.Pong:
        ...
    def describe(self, name: str) -> _idl_control_ttypes.WorkerDescription:
        """The worker and its services; with a name, this service alone and its idl.json."""
        ...
    def stats(self, name: str) -> _idl_control_ttypes.WorkerStats:
        """What the worker has counted; with a name, for this service alone."""
        ...

class Processor:
    def __init__(self, handler: Iface) -> None: ...
    def on_message_begin(self, func: _Callable[..., _Any]) -> None: ...
    def process(self, iprot: _Any, oprot: _Any) -> _Deferred[None]: ...
