# Made by `thrift-rpc compile`; it writes over what is changed here.
# mypy: disable-error-code=misc
# pyright: reportSelfClsParameterName=false, reportGeneralTypeIssues=false
from asyncio import Future as _Future
from collections.abc import Callable as _Callable, Coroutine as _Coroutine
from typing import Any as _Any, type_check_only as _type_check_only
from twisted.internet.defer import Deferred as _Deferred
from zope.interface import Interface as _Interface, implementer as _implementer
from .ttypes import *
from . import ttypes as _idl_kvstore_ttypes

class Iface(_Interface):
    """Keys and values that outlive the process."""
    def put(key: str, value: bytes) -> None | _Deferred[None] | _Coroutine[_Any, _Any, None]:
        """Store `value` under `key`; what was there before is replaced.

        InvalidArgument is thrown for an empty key.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def get(key: str) -> bytes | _Deferred[bytes] | _Coroutine[_Any, _Any, bytes]:
        """Give the value stored under `key`.

        :raises NotFound: as ``missing`` of the IDL.
        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def remove(key: str) -> bool | _Deferred[bool] | _Coroutine[_Any, _Any, bool]:
        """Forget `key`; answers whether anything was stored under it.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def scan(prefix: str, start: str, limit: int) -> _idl_kvstore_ttypes.Page | _Deferred[_idl_kvstore_ttypes.Page] | _Coroutine[_Any, _Any, _idl_kvstore_ttypes.Page]:
        """Give up to `limit` entries whose keys begin with `prefix`, from the key `start` on.

        An empty `prefix` takes all keys, an empty `start` begins with the first. InvalidArgument is thrown for a limit
        below 1 or above MAX_SCAN.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def compareAndSwap(key: str, swap: _idl_kvstore_ttypes.Swap) -> bool | _Deferred[bool] | _Coroutine[_Any, _Any, bool]:
        """Store `value` under `key` when `expected` is stored there now; answers whether it was.

        An absent `expected` asks that nothing be stored under the key. An absent `value` forgets the key.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...

@_implementer(Iface)
class Client:
    """Keys and values that outlive the process."""
    def __init__(self, transport: _Any, oprot_factory: _Any) -> None: ...
    def put(self, key: str, value: bytes) -> _Deferred[None]:
        """Store `value` under `key`; what was there before is replaced.

        InvalidArgument is thrown for an empty key.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def get(self, key: str) -> _Deferred[bytes]:
        """Give the value stored under `key`.

        :raises NotFound: as ``missing`` of the IDL.
        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def remove(self, key: str) -> _Deferred[bool]:
        """Forget `key`; answers whether anything was stored under it.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def scan(self, prefix: str, start: str, limit: int) -> _Deferred[_idl_kvstore_ttypes.Page]:
        """Give up to `limit` entries whose keys begin with `prefix`, from the key `start` on.

        An empty `prefix` takes all keys, an empty `start` begins with the first. InvalidArgument is thrown for a limit
        below 1 or above MAX_SCAN.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def compareAndSwap(self, key: str, swap: _idl_kvstore_ttypes.Swap) -> _Deferred[bool]:
        """Store `value` under `key` when `expected` is stored there now; answers whether it was.

        An absent `expected` asks that nothing be stored under the key. An absent `value` forgets the key.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...

@_type_check_only
class AsyncioClient:
    """Keys and values that outlive the process."""
    def put(self, key: str, value: bytes) -> _Future[None]:
        """Store `value` under `key`; what was there before is replaced.

        InvalidArgument is thrown for an empty key.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def get(self, key: str) -> _Future[bytes]:
        """Give the value stored under `key`.

        :raises NotFound: as ``missing`` of the IDL.
        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def remove(self, key: str) -> _Future[bool]:
        """Forget `key`; answers whether anything was stored under it.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def scan(self, prefix: str, start: str, limit: int) -> _Future[_idl_kvstore_ttypes.Page]:
        """Give up to `limit` entries whose keys begin with `prefix`, from the key `start` on.

        An empty `prefix` takes all keys, an empty `start` begins with the first. InvalidArgument is thrown for a limit
        below 1 or above MAX_SCAN.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def compareAndSwap(self, key: str, swap: _idl_kvstore_ttypes.Swap) -> _Future[bool]:
        """Store `value` under `key` when `expected` is stored there now; answers whether it was.

        An absent `expected` asks that nothing be stored under the key. An absent `value` forgets the key.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...

@_type_check_only
class BlockingClient:
    """Keys and values that outlive the process."""
    def put(self, key: str, value: bytes) -> None:
        """Store `value` under `key`; what was there before is replaced.

        InvalidArgument is thrown for an empty key.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def get(self, key: str) -> bytes:
        """Give the value stored under `key`.

        :raises NotFound: as ``missing`` of the IDL.
        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def remove(self, key: str) -> bool:
        """Forget `key`; answers whether anything was stored under it.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def scan(self, prefix: str, start: str, limit: int) -> _idl_kvstore_ttypes.Page:
        """Give up to `limit` entries whose keys begin with `prefix`, from the key `start` on.

        An empty `prefix` takes all keys, an empty `start` begins with the first. InvalidArgument is thrown for a limit
        below 1 or above MAX_SCAN.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...
    def compareAndSwap(self, key: str, swap: _idl_kvstore_ttypes.Swap) -> bool:
        """Store `value` under `key` when `expected` is stored there now; answers whether it was.

        An absent `expected` asks that nothing be stored under the key. An absent `value` forgets the key.

        :raises InvalidArgument: as ``invalid`` of the IDL.
        """
        ...

class Processor:
    def __init__(self, handler: Iface) -> None: ...
    def on_message_begin(self, func: _Callable[..., _Any]) -> None: ...
    def process(self, iprot: _Any, oprot: _Any) -> _Deferred[None]: ...
