"""A connection to the broker, for plain programs and any number of threads."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, overload
from weakref import WeakSet

import rpc.client.connection as twisted_connections
from rpc.blocking.client import Client, Made, Source
from rpc.blocking.loop_thread import LoopThread
from rpc.broker_address import Origin
from rpc.client.reply_values import RawReply
from rpc.errors import ConnectionLost, Outcome
from rpc.stub_types import BlockingStub, ClientType
from rpc.uri import BrokerURI

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing_extensions import Unpack

    from rpc.client.options import Options, RawOptions

_connections: WeakSet[Connection] = WeakSet()
"""Those of this process. A process that is forked gets copies of them."""

_inherited: list[_Open] = []
"""What a forked process got from its parent. Finalizers would work on the parent's event loop, so none is run."""


class Connection:
    """A connection to the broker, for any number of clients and threads. Made by :func:`connect`.

    It lives in a thread of its own, on an asyncio event loop. It connects again whenever it is lost; calls made
    meanwhile wait, within their deadline. A process that is forked connects anew at its first call.
    """

    def __init__(
        self,
        broker_url: str | BrokerURI | Origin = Origin.ENVIRONMENT,
        *,
        interceptors: Iterable[Any] = (),
        spec: str | os.PathLike[str] | None = None,
    ) -> None:
        """Connect. For the arguments and errors, see :func:`rpc.connect`."""
        self._broker_url = broker_url
        self._interceptors = tuple(interceptors)
        self._spec = spec
        self._lock = threading.RLock()  # the handler of a signal may close it, within a call
        self._open: _Open | None = None
        self._open = _Open(twisted_connections.connect, broker_url, self._interceptors, spec)
        self._closed = False
        _connections.add(self)

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Settle every call, also those of other threads (``ConnectionLost``), close, and end the thread.

        :raises RuntimeError: an interceptor, which runs in this thread, has called it.
        """
        with self._lock:
            opened = self._open
            if opened is not None:
                opened.thread.check_thread()
            self._open, self._closed = None, True
        if opened is not None and not sys.is_finalizing():  # when Python ends, it has stopped the thread
            opened.close()

    # As in rpc.Connection, pyright takes the first that fits.
    @overload
    def client(self, stub: BlockingStub[ClientType], **options: Unpack[Options]) -> ClientType: ...

    @overload
    def client(self, stub: ModuleType | type | str, **options: Unpack[Options]) -> Any: ...

    def client(self, stub: Any, **options: Unpack[Options]) -> Any:
        """Return a client whose methods wait for the result and return it. Ctrl-C cancels the call.

        For the arguments and errors, see :meth:`rpc.Connection.client`.
        """
        return Client(Source(self._make, stub, options))

    def reflect(
        self, service: str, *, queue: str | None = None, user_id: bool | str = False, app_id: str | None = None
    ) -> ModuleType:
        """Make the stub of a service from the description of one of its workers: see :meth:`rpc.Connection.reflect`."""
        opened = self._opened()
        reflect = partial(opened.connection.reflect, service, queue=queue, user_id=user_id, app_id=app_id)
        stub: ModuleType = opened.thread.call(reflect)
        return stub

    def call_raw(self, service: str, message: bytes, **options: Unpack[RawOptions]) -> RawReply:
        """Send the bytes of a Thrift message, without a stub: see :meth:`rpc.Connection.call_raw`."""
        opened = self._opened()
        reply: RawReply = opened.thread.call(partial(opened.connection.call_raw, service, message, **options))
        return reply

    def _make(self, stub: Any, options: Options, made: Made | None) -> Made:
        """Return `made`, if it belongs to the connection that is open now, else a new client."""
        opened = self._opened()
        if made is not None and made[0] == opened.thread.call:
            return made
        return opened.thread.call, opened.client(stub, options)

    def _opened(self) -> _Open:
        opened = self._open
        if opened is not None:
            return opened
        with self._lock:
            if self._closed:
                raise ConnectionLost("the connection was closed", Outcome.NOT_SENT)
            if self._open is None:  # this process was forked
                self._open = _Open(_connect_meanwhile, self._broker_url, self._interceptors, self._spec)
            return self._open

    def forked(self) -> None:
        """In a forked process: leave the connection to the parent.

        A lock that one of the parent's threads held would never be released here, so there is a new one.
        """
        self._lock = threading.RLock()
        opened, self._open = self._open, None
        if opened is not None:
            _inherited.append(opened)
            opened.abandon()

    def __repr__(self) -> str:
        return "<connection that is not open>" if self._open is None else repr(self._open.connection)

    def __del__(self) -> None:
        """Close it, without waiting for that. Clients have a reference to it, so none is left."""
        opened: _Open | None = self.__dict__.get("_open")  # unset when its arguments were wrong
        if opened is not None and not sys.is_finalizing():
            opened.thread.stop_after(opened.connection.close)
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=1)


class _Open:
    """A connection with the thread that it lives in."""

    def __init__(
        self,
        begin: Callable[..., Any],
        broker_url: str | BrokerURI | Origin,
        interceptors: Iterable[Any],
        spec: str | os.PathLike[str] | None,
    ) -> None:
        """:param begin: makes the connection: :func:`rpc.connect`, or :func:`_connect_meanwhile`."""
        self.thread = LoopThread()
        try:
            self.connection: twisted_connections.Connection = self.thread.call(
                partial(begin, broker_url, interceptors=interceptors, spec=spec, reactor=self.thread.reactor)
            )
        except BaseException:
            self.thread.stop()
            raise

    def client(self, stub: Any, options: Options) -> Any:
        """Make a client of Twisted, in the reactor's thread."""
        return self.thread.call(partial(self.connection.client, stub, **options))

    def abandon(self) -> None:
        """After a fork, in the child: close this process's copies of the sockets. The parent's connection stays."""
        self.thread.reactor.abandon()

    def close(self) -> None:
        """Close the connection, and end the thread."""
        try:
            self.thread.call(self.connection.close)
        finally:
            self.thread.stop()


def _connect_meanwhile(broker_url: Any, **options: Any) -> twisted_connections.Connection:
    """Begin to connect. Calls wait for it within their deadlines."""
    connection = twisted_connections.Connection(broker_url, **options)
    connection.startService()
    return connection


def connect(
    broker_url: str | BrokerURI | Origin = Origin.ENVIRONMENT,
    *,
    interceptors: Iterable[Any] = (),
    spec: str | os.PathLike[str] | None = None,
) -> Connection:
    """Connect to the broker, and return the open connection. Use it as a context manager, or close it.

    For the arguments and errors, see :func:`rpc.connect`.
    """
    return Connection(broker_url, interceptors=interceptors, spec=spec)


def _after_fork() -> None:
    for connection in list(_connections):
        connection.forked()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_after_fork)
