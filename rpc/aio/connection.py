"""A connection to the broker, for clients in asyncio programs."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Generator, Iterable
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, overload

import rpc.client.connection as twisted_connections
from rpc.aio.client import CallFuture, Client, begin_call
from rpc.broker_address import Origin
from rpc.client.reply_values import RawReply
from rpc.errors import ConfigurationError
from rpc.loop_reactor import LoopReactor
from rpc.stub_types import AsyncioStub, ClientType
from rpc.uri import BrokerURI

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing_extensions import Unpack

    from rpc.client.options import Options, RawOptions


class Connection:
    """A connection to the broker for any number of clients, in one event loop. Made by :func:`connect`.

    It connects when it is awaited or entered, and again whenever the connection is lost. Calls made meanwhile wait,
    within their deadline.
    """

    def __init__(
        self,
        broker_url: str | BrokerURI | Origin = Origin.ENVIRONMENT,
        *,
        interceptors: Iterable[Any] = (),
        spec: str | os.PathLike[str] | None = None,
    ) -> None:
        """For the arguments, see :class:`rpc.Connection`."""
        self._broker_url = broker_url
        self._interceptors = interceptors
        self._spec = spec
        self._open: _Open | None = None
        self._changing = asyncio.Lock()  # between tasks that open and close it

    def __await__(self) -> Generator[Any, None, Connection]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Connection:
        """Connect, if it is not open.

        :raises ConfigurationError: it is open in another event loop.
        """
        async with self._changing:
            if self._open is not None and self._open.loop.is_closed():
                self._open.abandon()
                self._open = None
            if self._open is None:
                self._open = await _Open.to(self._broker_url, self._interceptors, self._spec)
            elif self._open.loop is not asyncio.get_running_loop():
                raise ConfigurationError("the connection is open in another event loop: open one in each loop")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Settle every call (``ConnectionLost``), and close. Nothing of the connection is left in the event loop."""
        async with self._changing:
            opened, self._open = self._open, None
            if opened is not None:
                await opened.close()

    # As in rpc.Connection, pyright takes the first that fits.
    @overload
    def client(self, stub: AsyncioStub[ClientType], **options: Unpack[Options]) -> ClientType: ...

    @overload
    def client(self, stub: ModuleType | type | str, **options: Unpack[Options]) -> Any: ...

    def client(self, stub: Any, **options: Unpack[Options]) -> Any:
        """Return a client whose methods return asyncio futures. A future that is cancelled cancels its call.

        For the arguments and errors, see :meth:`rpc.Connection.client`.

        :raises ConfigurationError: the connection is not open, or as there.
        """
        opened = self._opened()
        return Client(opened.connection.client(stub, **options), opened.loop)

    def reflect(
        self, service: str, *, queue: str | None = None, user_id: bool | str = False, app_id: str | None = None
    ) -> asyncio.Future[ModuleType]:
        """Make the stub of a service from the description of one of its workers: see :meth:`rpc.Connection.reflect`."""
        opened = self._opened()
        reflect = opened.connection.reflect
        return begin_call(opened.loop, reflect, service, queue=queue, user_id=user_id, app_id=app_id)

    def call_raw(self, service: str, message: bytes, **options: Unpack[RawOptions]) -> asyncio.Future[RawReply]:
        """Send the bytes of a Thrift message, without a stub: see :meth:`rpc.Connection.call_raw`."""
        opened = self._opened()
        return begin_call(opened.loop, opened.connection.call_raw, service, message, **options)

    def _opened(self) -> _Open:
        if self._open is None:
            raise ConfigurationError(
                "the connection is not open: write 'async with rpc.aio.connect(url) as connection', "
                "or 'connection = await rpc.aio.connect(url)'"
            )
        return self._open

    def __repr__(self) -> str:
        return "<connection that is not open>" if self._open is None else repr(self._open.connection)

    def __del__(self) -> None:
        if self._open is not None and not self._open.loop.is_closed():
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=1)


class _Open:
    """A connection with the reactor that it lives on."""

    def __init__(self, connection: twisted_connections.Connection, reactor: LoopReactor) -> None:
        self.connection = connection
        self.loop = reactor.loop
        self._reactor = reactor

    @classmethod
    async def to(
        cls, broker_url: str | BrokerURI | Origin, interceptors: Iterable[Any], spec: str | os.PathLike[str] | None
    ) -> _Open:
        """Connect. For the errors, see :func:`rpc.connect`."""
        reactor = LoopReactor(asyncio.get_running_loop())
        try:
            connection = twisted_connections.Connection(
                broker_url, interceptors=interceptors, spec=spec, reactor=reactor
            )
            opened = cls(connection, reactor)
        except BaseException:
            reactor.close()
            raise
        opened.connection.startService()
        try:
            await CallFuture(opened.connection.when_connected(), opened.loop)
        except BaseException:
            await opened.close()
            raise
        return opened

    def abandon(self) -> None:
        """Close the sockets, when the loop is closed."""
        self._reactor.abandon()

    async def close(self) -> None:
        """Close the connection, and then its reactor, also when this is cancelled."""
        if self.loop.is_closed():
            self.abandon()
            return
        try:
            await CallFuture(self.connection.close(), self.loop)
        finally:
            self._reactor.close()


def connect(
    broker_url: str | BrokerURI | Origin = Origin.ENVIRONMENT,
    *,
    interceptors: Iterable[Any] = (),
    spec: str | os.PathLike[str] | None = None,
) -> Connection:
    """Return a connection to ``await``, or to enter with ``async with``. Only then does it connect.

    For the arguments and errors, see :func:`rpc.connect`.
    """
    return Connection(broker_url, interceptors=interceptors, spec=spec)
