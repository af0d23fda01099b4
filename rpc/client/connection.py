"""A connection to the broker, for any number of clients."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any, overload

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, gatherResults, succeed

from rpc.broker_address import Origin, resolve
from rpc.client.attempts import Route
from rpc.client.caller import Caller, route_by_service
from rpc.client.gathered import Gathered, Question
from rpc.client.gathering import gather
from rpc.client.interception import MakeCall, intercept
from rpc.client.operation import CallObserver
from rpc.client.options import DEFAULT_OPTIONS, ClientOptions, Options, RawOptions, raw_options
from rpc.client.queue_counts import QueueCounts, queue_counts
from rpc.client.raw import RawClient, call_raw
from rpc.client.reflected import ReflectedClient
from rpc.client.reply_values import RawReply
from rpc.client.stub_client import Client
from rpc.client.stub_source import StubQuestion, ask_for_stub
from rpc.default_reactor import default_reactor, refuse_foreign_loop
from rpc.errors import InvalidRequest
from rpc.interceptors import client_interceptors
from rpc.link import Link
from rpc.monotonic import monotonic_reactor
from rpc.observers import observers_among
from rpc.stub import Stub
from rpc.stub_types import ClientType, StubModule
from rpc.topology import BROADCAST, REQUESTS
from rpc.uri import BrokerURI

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing_extensions import Unpack


class Connection(Service):
    """A connection to the broker for any number of clients. An ``IService``: it connects when it is started, and again
    whenever the connection is lost. Calls made meanwhile wait, within their deadline; they fail at once while the
    broker refuses the login or the virtual host. It can be started after a stop.
    """

    def __init__(
        self,
        broker_url: str | BrokerURI | Origin = Origin.ENVIRONMENT,
        *,
        interceptors: Iterable[Any] = (),
        spec: str | os.PathLike[str] | None = None,
        reactor: Any = None,
    ) -> None:
        """
        :param broker_url: ``amqp://user:password@host:5672/vhost``, or ``amqps://``; several hosts with commas.
            Default: the URL of the environment variable ``RPC_BROKER``, or of the file that ``RPC_BROKER_FILE`` names,
            or ``amqp://localhost``. Files are read anew at each connection to the broker.
        :param interceptors: objects that provide :class:`rpc.IClientInterceptor`, for all clients of the connection.
        :param spec: the version of AMQP: the path of its definition, an XML file in txAMQP's format, or ``"0-9-1"``,
            ``"0-9"`` or ``"0-8"``. Default: 0-9-1. Without publisher confirms, oneway calls fail (``RPCError``).
        :raises InvalidURI: the URL cannot be understood.
        :raises ConfigurationError: a file of the URL, with a password or certificate, or that of `spec`, cannot be read
            or used.
        """
        reactor = monotonic_reactor(reactor or default_reactor())
        parsed = resolve(broker_url)
        link = Link(reactor, parsed, "client", spec=spec)
        self._set_up(link, reactor, route_by_service, interceptors, owned=str(parsed))

    def _set_up(
        self, link: Link, reactor: Any, route: Route, interceptors: Iterable[Any], *, owned: str | None
    ) -> None:
        self._link = link
        self._interceptors = client_interceptors(interceptors)
        self._reactor = reactor
        self._owned = owned
        self._route = route
        self._active: bool | None = None  # whether the callers take calls and have channels; None: never started
        self._changing = False
        self._attached: set[Caller] = set()
        self._waiting_for_stop: list[Deferred[None]] = []
        self._callers: dict[tuple[str, str | None], Caller] = {}
        link.observers.extend(observers_among(self._interceptors, self))

    def __repr__(self) -> str:
        return f"<connection to {self._owned}>" if self._owned is not None else "<connection of a worker>"

    # pyright takes the first that fits, and a module fits the others as well.
    @overload
    def client(self, stub: StubModule[ClientType], **options: Unpack[Options]) -> ClientType: ...

    @overload
    def client(self, stub: type[ClientType], **options: Unpack[Options]) -> ClientType: ...

    @overload
    def client(self, stub: ModuleType | str, **options: Unpack[Options]) -> Any: ...

    def client(self, stub: Any, **options: Unpack[Options]) -> Any:
        """Return a client of the service of `stub`, such as ``generated.calculator.Calculator``.

        :param stub: the service's module, or the class ``Client`` in it. For type checkers, the client is one of this
            class. Without a compiled stub, the service's name on the broker: the first call asks a worker for the
            methods and their types, as :meth:`reflect` does.
        :param options: see :class:`~rpc.client.options.ClientOptions`.
        :raises ConfigurationError: the module is no stub, or an option has a wrong value.
        :raises TypeError: an option is unknown.
        """
        chosen = DEFAULT_OPTIONS.changed(options) if options else DEFAULT_OPTIONS
        if isinstance(stub, str):
            return ReflectedClient(self, self._reactor, chosen.changed({"name": chosen.name or stub}))
        return Client(Stub.of(stub), self._caller_for, chosen, self._interceptors)

    def reflect(
        self, service: str, *, queue: str | None = None, user_id: bool | str = False, app_id: str | None = None
    ) -> Deferred[ModuleType]:
        """Make the stub of a service from the description of one of its workers.

        Example::

            glossary = await connection.reflect("Glossary")
            client = connection.client(glossary)
            await client.define(glossary.Entry(term="RPC", meaning="a call to another process"))

        :param service: the service's name on the broker, or ``<service>@<instance>``.
        :param queue: the service's request queue, when it has another name than ``rpc.<service>``.
        :param user_id: as for :meth:`client`.
        :param app_id: as for :meth:`client`.
        :return: fires with the module of the stub, which has the classes of the IDL. Fails with
            :class:`~rpc.errors.ServiceUnavailable` when no worker answers; with :class:`~rpc.errors.InvalidReply` when
            the description cannot be used; as :class:`rpc.control.Control` otherwise. The name of the worker may not be
            verified, and the description is not signed.
        :raises ConfigurationError: an argument has a wrong value.
        """
        DEFAULT_OPTIONS.changed({"name": service, "queue": queue, "user_id": user_id, "app_id": app_id})
        return ask_for_stub(self, StubQuestion(service, queue, user_id, app_id))

    def call_raw(self, service: str, message: bytes, **options: Unpack[RawOptions]) -> Deferred[RawReply]:
        """Send the bytes of a Thrift message, without a stub.

        Example, with a message that a program of any language has encoded::

            reply = await connection.call_raw("Calculator", message, protocol="compact", timeout=5.0)
            reply.message  # in the compact protocol, with the seqid of `message`

        :param service: the service's name, or ``<service>@<instance>``.
        :param message: one message of type CALL or ONEWAY. Any seqid will do: the reply has the same.
        :param options: those of :meth:`client`, but not ``name`` and ``invalid_utf8``. ``protocol`` is that of
            `message`. Without a stub the IDL's ``timeout_ms`` and ``idempotent`` are not known: the defaults are 30
            seconds and no method.
        :return: fires with an :class:`rpc.RawReply`, for a ONEWAY message when the broker has confirmed it. The reply
            may be an EXCEPTION message. Fails with :class:`~rpc.errors.InvalidRequest` when `message` is no CALL or
            ONEWAY message of the protocol, and with any other :class:`~rpc.errors.RPCError`.
        :raises ConfigurationError: an option has a wrong value.
        :raises TypeError: an option is unknown.
        """
        chosen = raw_options(service, options)
        try:
            return call_raw(*self._raw(chosen), message)
        except InvalidRequest as error:
            return fail(error)

    def raw_client(self, service: str, **options: Unpack[RawOptions]) -> RawClient:
        """Return a client that sends Thrift messages as bytes. It checks its options once, not at each call, so a
        program that passes on many messages uses it instead of :meth:`call_raw`.

        :param service: the service's name, or ``<service>@<instance>``.
        :param options: those of :meth:`call_raw`.
        :raises ConfigurationError: an option has a wrong value.
        :raises TypeError: an option is unknown.
        """
        return RawClient(*self._raw(raw_options(service, options)))

    def _raw(self, options: ClientOptions) -> tuple[MakeCall, ClientOptions, CallObserver | None]:
        """Return the things that calls without a stub need."""
        make_call, observer = intercept(self._caller_for(options), self._interceptors + options.interceptors)
        return make_call, options, observer

    def _caller_for(self, options: ClientOptions) -> Caller:
        self._link.allow(options.max_message_size)
        return self._caller_to(options.exchange, options.reply_exchange)

    def _caller_to(self, exchange: str, reply_exchange: str | None) -> Caller:
        """Return the caller that publishes to `exchange`. A publish to an exchange that does not exist closes the
        channel (AMQP 0-9-1, basic.publish: 404), and so does one without permission (403). So each exchange has its own
        channel, from its first client on. The same applies to an exchange of replies.
        """
        if exchange == BROADCAST:
            exchange = REQUESTS
        caller = self._callers.get((exchange, reply_exchange))
        if caller is None:
            caller = Caller(self._link, self._reactor, self._route, exchange, reply_exchange)
            self._callers[exchange, reply_exchange] = caller
            if self._active:
                self._attach(caller)
            elif self._active is False:
                caller.close()
        return caller

    def pending_calls(self) -> Counter[tuple[str, str]]:
        """Return how many calls are not settled, by service and method, as :class:`rpc.ClientCall` names them."""
        pending = [call for caller in list(self._callers.values()) for call in list(caller.pending.calls.values())]
        return Counter((call.operation.service, call.operation.name) for call in pending)

    def gather(self, question: Question) -> Deferred[Gathered]:
        """Ask many workers one question; see :func:`rpc.client.gathering.gather`. It is no call, so interceptors do not
        see it. :class:`rpc.control.Control` asks all that workers can answer.
        """
        self._link.allow(question.operation.options.max_message_size)
        return gather(self._link, self._reactor, question)

    def queue_counts(self, queue: str) -> Deferred[QueueCounts | None]:
        """Ask the broker about a queue; see :func:`rpc.client.queue_counts.queue_counts`."""
        return queue_counts(self._link, self._reactor, queue)

    @property
    def problem(self) -> str | None:
        """Why there is no connection to the broker, or no channel, in words; ``None`` when all is well."""
        return self._link.problem

    def send_waiting(self) -> None:
        """Send the nested calls that wait for a route."""
        for caller in self._callers.values():
            caller.send_waiting()

    def at_end_of_pass(self, function: Callable[[], None]) -> None:
        """Call `function` once, behind the callbacks of all replies that the broker has sent together. When none are
        being read, it is called in the reactor's next turn; without a connection at once.
        """
        connection = self._link.connection
        if connection is None:
            function()
        else:
            connection.at_end_of_pass(function)

    # -- start and stop: the callback of a settled call may ask for either; the last request counts

    def startService(self) -> None:
        """Begin to connect. Nothing when it is running."""
        if not self.running:
            super().startService()
            self._change()

    def stopService(self) -> Deferred[None]:
        """Settle every call (``ConnectionLost``), and close. Fires when the connection is gone."""
        super().stopService()
        stopped: Deferred[None] = Deferred()
        self._waiting_for_stop.append(stopped)
        self._change()
        return stopped

    def _change(self) -> None:
        """Start or stop until the state is the last one that was asked for."""
        if self._changing:
            return
        self._changing = True
        gone: Deferred[Any] | None = None
        try:
            while self._active is not bool(self.running):
                self._active = bool(self.running)
                if self._active:
                    self._start()
                else:
                    gone = self._stop()
        finally:
            self._changing = False
        waiting, self._waiting_for_stop = self._waiting_for_stop, []
        if waiting:
            (gone or self._link_stopped()).addBoth(_fire, waiting)

    def _start(self) -> None:
        for caller in list(self._callers.values()):
            caller.open()
            self._attach(caller)
        if self._owned is not None:
            self._link.startService()

    def _stop(self) -> Deferred[Any]:
        callers = list(self._callers.values())
        for caller in callers:
            caller.close()
        if self._owned is not None:
            return self._link.stopService()
        self._attached.clear()
        return gatherResults([self._link.detach(caller) for caller in callers])

    def _attach(self, caller: Caller) -> None:
        """Have the link open a channel for `caller` on each connection. A link of our own keeps it through stops."""
        if caller not in self._attached:
            self._attached.add(caller)
            self._link.attach(caller)

    def _link_stopped(self) -> Deferred[Any]:
        return self._link.stopService() if self._owned is not None and not self._active else succeed(None)

    def close(self) -> Deferred[None]:
        """The same as :meth:`stopService`."""
        return self.stopService()

    def when_connected(self) -> Deferred[Connection]:
        """Fires with this connection when there is one to the broker; fails with the
        :class:`~rpc.errors.AMQPError` of the last host when every host was tried once in vain.
        """
        return self._link.when_connected().addCallback(lambda _: self)


class SharedConnection(Connection):
    """A connection on a link that its owner starts and stops, as a worker does for its handlers' clients."""

    def __init__(self, link: Link, reactor: Any, route: Route, interceptors: Iterable[Any] = ()) -> None:
        """:param route: gives the routing keys of nested calls; see :data:`rpc.client.attempts.Route`."""
        self._set_up(link, reactor, route, interceptors, owned=None)


def _fire(result: Any, waiting: list[Deferred[None]]) -> None:
    for deferred in waiting:
        deferred.callback(None)


def connect(
    broker_url: str | BrokerURI | Origin = Origin.ENVIRONMENT,
    *,
    interceptors: Iterable[Any] = (),
    spec: str | os.PathLike[str] | None = None,
    reactor: Any = None,
) -> Deferred[Connection]:
    """Connect to the broker.

    :param broker_url: see :class:`Connection`, also for `interceptors` and `spec`.
    :return: fires with the open :class:`Connection`; fails with :class:`~rpc.errors.BrokerUnreachable`,
        :class:`~rpc.errors.AuthenticationFailed`, :class:`~rpc.errors.VirtualHostRefused` or another
        :class:`~rpc.errors.AMQPError` when no host of the URL accepted the connection; the connection is then closed.
    :raises InvalidURI: the URL cannot be understood.
    :raises ConfigurationError: a file of the URL, with a password or certificate, or that of `spec`, cannot be read or
        used.
    :raises RuntimeError: asyncio runs here, and Twisted's reactor does not: use :func:`rpc.aio.connect`.
    """
    if reactor is None:
        reactor = default_reactor()
        refuse_foreign_loop(reactor)
    connection = Connection(broker_url, interceptors=interceptors, spec=spec, reactor=reactor)
    connection.startService()

    def give_up(failure: Any) -> Any:
        return connection.close().addCallback(lambda _: failure)

    return connection.when_connected().addErrback(give_up)
