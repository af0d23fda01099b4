"""A worker: services on one link, as a Twisted ``IService``.

It stands above both halves: the worker half serves, and the client half carries the calls that handlers make.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed

from rpc import log
from rpc.broker_address import Origin, resolve
from rpc.client.connection import SharedConnection
from rpc.client.operation import Operation
from rpc.control.call_stats import CallStats
from rpc.control.serving import ControlOptions, control_options, control_service
from rpc.default_reactor import default_reactor
from rpc.errors import AMQPError, ConfigurationError, DeclarationRefused
from rpc.exit_status import end_program
from rpc.interceptors import client_interceptors as checked_client_interceptors
from rpc.interceptors import worker_interceptors
from rpc.link import Link
from rpc.monotonic import monotonic_reactor
from rpc.observers import observers_among
from rpc.program_signals import ProgramSignals
from rpc.uri import BrokerURI
from rpc.worker.assembly import Assembly, refuse_doubles
from rpc.worker.consumer import ConsumerState
from rpc.worker.dispatcher import Dispatcher
from rpc.worker.drain import Drain
from rpc.worker.limiter import Load
from rpc.worker.reactor_watch import ReactorWatch
from rpc.worker.readiness import Readiness, readiness_of
from rpc.worker.refused_worker import EXIT, FAIL, ON_REFUSAL, WAIT, RefusedSince, log_line
from rpc.worker.republisher import Republisher
from rpc.worker.served import Served
from rpc.worker.server import Server
from rpc.worker.service import ThriftService
from rpc.worker.worker_state import CONNECTS, WorkerState

DRAIN_TIMEOUT = 30.0

EXIT_STATUS = 1
"""Of a program whose worker the broker refuses."""


class Worker(Service):
    """Serves services until it is stopped; then it takes no more requests, finishes its calls, acks, and closes.

    After the SIGTERM or SIGINT that stops the reactor, a second one ends the wait for calls in progress. SIGHUP stops
    the reactor, too, unless the program handles or ignores it (:mod:`rpc.program_signals`).

    ``<service>@<instance>`` as a client's ``name`` reaches one worker, by its :attr:`instance`.
    """

    def __init__(
        self,
        broker_url: str | BrokerURI | Origin = Origin.ENVIRONMENT,
        services: Iterable[ThriftService] = (),
        *,
        drain_timeout: float = DRAIN_TIMEOUT,
        on_refusal: str = FAIL,
        interceptors: Iterable[Any] = (),
        client_interceptors: Iterable[Any] = (),
        spec: str | os.PathLike[str] | None = None,
        control: bool | ControlOptions = True,
        stats: bool = False,
        reactor: Any = None,
    ) -> None:
        """
        :param broker_url: see :class:`rpc.client.connection.Connection`.
        :param drain_timeout: seconds that calls in progress have to finish when the worker stops.
        :param on_refusal: what happens when the broker refuses the worker for good. With ``"fail"``
            :meth:`when_serving` fails, and with ``"wait"`` it waits; in both cases the worker tries again until it is
            stopped. With ``"exit"`` the program ends, with status 1: for programs that only serve.
        :param interceptors: objects that provide :class:`rpc.IWorkerInterceptor`, for all services.
        :param client_interceptors: objects that provide :class:`rpc.IClientInterceptor`, for the clients that factories
            make of the worker's connection.
        :param spec: the version of AMQP: see :class:`rpc.client.connection.Connection`. Without publisher confirms,
            services have no ``backlog``.
        :param control: whether the worker answers :class:`rpc.control.Control`; or a :class:`rpc.ControlOptions` that
            says to whom.
        :param stats: whether it counts calls by method, for :meth:`rpc.control.Control.stats`.
        :raises InvalidURI: the URL cannot be understood.
        :raises ConfigurationError: an option has another value, a file of the URL or of `spec` cannot be read or used,
            there are no services, a service needs more than `spec` has, two have one name or a queue in common, or a
            factory made a handler that lacks a method.
        """
        if isinstance(drain_timeout, bool) or not 0 <= drain_timeout < float("inf"):
            raise ConfigurationError(f"drain_timeout={drain_timeout!r}: must be a number of seconds, 0 or more")
        if on_refusal not in ON_REFUSAL:
            raise ConfigurationError(f"on_refusal={on_refusal!r}: must be one of {', '.join(map(repr, ON_REFUSAL))}")
        reactor = monotonic_reactor(reactor or default_reactor())
        services = list(services)
        refuse_doubles(services)
        self._reactor = reactor
        self._drain_timeout = drain_timeout
        self.call_stats = CallStats() if stats else None
        own = () if self.call_stats is None else (self.call_stats,)
        self._interceptors = own + worker_interceptors(interceptors)
        client_interceptors = checked_client_interceptors(client_interceptors)
        self._state = WorkerState.STOPPED
        self._started_at: float | None = None
        self._link = Link(reactor, resolve(broker_url), "worker", self._refused, spec)
        self._republisher = Republisher()
        self._watch = ReactorWatch(reactor, self._running_methods)
        self._observe(services)
        self._server = Server(self._link, self._republisher, reactor, self._opened)
        self._connection: SharedConnection | None = None
        if any(service.factory for service in services):
            self._connection = SharedConnection(self._link, reactor, self._route, client_interceptors)
        self._control: list[Dispatcher] = []
        self._served = self._serve_all(services, control_options(control))
        self._link.attach(self._republisher)
        self._link.attach(self._server)
        self._waiting: list[Deferred[None]] = []
        self._closed: list[Deferred[None]] = []
        self._drain = self._new_drain()
        self._signals = ProgramSignals(reactor, self.abort)
        self._on_refusal = on_refusal
        self._refused_since = RefusedSince()
        self._refusal: AMQPError | None = None  # the last one

    def __repr__(self) -> str:
        return f"<worker of {', '.join(self._served)}>"

    def _observe(self, services: list[ThriftService]) -> None:
        """Tell the observers among the interceptors of the events of this worker."""
        of_services = [each for service in services for each in service.interceptors]
        observers = observers_among([*self._interceptors, *of_services], self)
        self._link.observers.extend(observers)
        self._watch.observers.extend(observers)

    def _serve_all(self, services: list[ThriftService], control: ControlOptions | None) -> dict[str, Served]:
        """Serve the services by name. The control service has slots of its own, and the drain leaves it alone: it
        answers while the others are busy or stop.
        """
        nested = self._connection is not None
        assembly = Assembly(
            self._link, self._server, self._republisher, self._reactor, self._watch, self._interceptors, self._consuming
        )
        served = {
            each.name: assembly.serve(each, each.make_handler(self._connection), nested=nested) for each in services
        }
        if control is not None:
            service = control_service(self, control)
            if service.name in served:
                raise ConfigurationError(f"a service has the name {service.name!r}: give it another, or control=False")
            self._control.append(assembly.serve_direct(service).dispatcher)
        return served

    @property
    def instance(self) -> str:
        """The worker's unique name. Read it in the process that serves: twistd may fork before."""
        return self._link.instance

    def _opened(self, heartbeat: float) -> None:
        """The exchanges exist: nested calls can look them up."""
        if self._state in CONNECTS:
            self._watch.start(heartbeat)
            if self._connection is not None:
                self._connection.startService()

    @property
    def is_serving(self) -> bool:
        """Whether every service is consumed just now."""
        return all(served.consumer.state is ConsumerState.CONSUMING for served in self._served.values())

    @property
    def problem(self) -> str | None:
        """Why there is no connection or no channel, in words; ``None`` when all is well."""
        return self._link.problem

    @property
    def readiness(self) -> Readiness:
        """Whether the worker takes requests just now, or why not: a value of :class:`rpc.Readiness`."""
        connection = self._link.connection
        blocked = connection is not None and connection.blocked is not None
        return readiness_of(self._state, connection is not None, self.is_serving, blocked)

    @property
    def loads(self) -> dict[str, Load]:
        """How busy each service is now, by its name."""
        return {name: served.dispatcher.limiter.load for name, served in self._served.items()}

    @property
    def state(self) -> WorkerState:
        """The state of its life, a :class:`rpc.worker.worker_state.WorkerState`."""
        return self._state

    @property
    def uptime(self) -> float:
        """Seconds since the last start; 0 before."""
        return 0.0 if self._started_at is None else self._reactor.seconds() - self._started_at

    @property
    def services(self) -> list[ThriftService]:
        """The services, without the control service."""
        return [served.service for served in self._served.values()]

    @property
    def service_states(self) -> dict[str, ConsumerState]:
        """The state of each service, by its name."""
        return {name: served.consumer.state for name, served in self._served.items()}

    @property
    def options(self) -> dict[str, str]:
        """The worker's own options, as text."""
        return {
            "drain_timeout": f"{self._drain_timeout:g}",
            "on_refusal": self._on_refusal,
            "stats": str(self.call_stats is not None),
        }

    def _running_methods(self) -> list[str]:
        requests = [request for served in self._served.values() for request in served.dispatcher.in_progress.requests()]
        return sorted({str(request.label) for request in requests})

    def _route(self, operation: Operation) -> str | None:
        """Return the routing key of a call that a handler makes; ``None``: the call has to wait.

        A call to a service of this worker goes to this worker itself. In the shared queue it would wait for a
        slot. When every slot runs a call that waits for such a nested call, no slot would become free. A oneway call
        is not waited for, and must not be lost with this worker, so it goes to the shared queue.
        """
        name, _, instance = operation.service.partition("@")
        served = self._served.get(name)
        if served is None or operation.oneway:
            return operation.service
        if served.service.exchange != operation.options.exchange or instance not in ("", self.instance):
            return operation.service
        if served.consumer.state is not ConsumerState.CONSUMING and self._state in CONNECTS:
            return None
        return served.service.topology().nested_key(self.instance)

    # -- life

    def startService(self) -> None:
        """Connect, and serve as soon as there is a connection. While the worker stops: do so when it has stopped."""
        super().startService()
        if self._state is WorkerState.STOPPED:
            self._start()
        elif self._state is WorkerState.STOPPING:
            self._state = WorkerState.RESTARTING

    def _start(self) -> None:
        self._state = WorkerState.STARTING
        self._drain = self._new_drain()
        self._refused_since.forget()
        self._started_at = self._reactor.seconds()
        for served in self._served.values():
            served.dispatcher.resume()
            served.consumer.resume()
        for dispatcher in self._control:
            dispatcher.resume()
        self._signals.begin()
        self._link.startService()

    def when_serving(self) -> Deferred[None]:
        """Fires when all services are consumed: from then on no call to them ends with ``ServiceUnavailable``.

        It waits as long as there is no broker. It fails with ``CancelledError`` when the worker is stopped. Unless
        ``on_refusal="wait"`` is set, it fails when the broker refuses the worker for good before it has served:
        :class:`~rpc.errors.AuthenticationFailed` (user name or password), :class:`~rpc.errors.VirtualHostRefused`,
        :class:`~rpc.errors.VersionRefused` (`spec`),
        :class:`~rpc.errors.ChannelClosed` (403, no permission), or :class:`~rpc.errors.DeclarationRefused` (a queue has
        other arguments). A worker that has served fails when its queues were refused for a minute. It fails at once
        from then until the broker has accepted the worker.
        """
        if self._state is WorkerState.REFUSED:
            return fail(self._refusal)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._tell_waiting()
        return waiting

    def _consuming(self) -> None:
        """A service is consumed, and handlers can call it."""
        if self._connection is not None:
            self._connection.send_waiting()
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        if self.is_serving:
            self._state = WorkerState.SERVING
            self._refused_since.forget()
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)

    def _refused(self, error: AMQPError) -> None:
        """Note that the broker has refused a login or a channel, and that another attempt would only repeat this."""
        if self._on_refusal == WAIT or self._state not in CONNECTS:
            return
        self._refusal = error
        if self._state is WorkerState.STARTING or (self._state is WorkerState.SERVING and self._lasts(error)):
            self._enter_refused(error)

    def _lasts(self, error: AMQPError) -> bool:
        """Return whether the refusal of a worker that has served is for good.

        A password may have been changed at the broker first, and the calls in progress still need this worker. A queue
        that was replaced does not change back, so its refusal is for good after a minute.
        """
        return isinstance(error, DeclarationRefused) and self._refused_since.add(self._reactor.seconds())

    def _enter_refused(self, error: AMQPError) -> None:
        write = log.critical if self._on_refusal == EXIT else log.warn
        write(log_line(self._on_refusal, error))
        self._state = WorkerState.REFUSED
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.errback(error)
        if self._on_refusal == EXIT:
            end_program(self._reactor, EXIT_STATUS)

    def stopService(self) -> Deferred[None]:
        """Drain and close. Fires when the connection is gone.

        Calls still in progress after the drain timeout are given up: this worker does not answer them, and another
        worker runs their requests.
        """
        super().stopService()
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.cancel()
        if self._state is WorkerState.STOPPED:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._closed.append(closed)
        if self._state in CONNECTS:
            self._state = WorkerState.STOPPING
            self._drain.begin().addCallback(self._close)
        else:
            self._state = WorkerState.STOPPING
        return closed

    def _new_drain(self) -> Drain:
        return Drain(self._reactor, self._server, list(self._served.values()), self._drain_timeout)

    def _close(self, _: object) -> None:
        self._server.abandon()
        self._watch.stop()
        for dispatcher in (*(served.dispatcher for served in self._served.values()), *self._control):
            dispatcher.stop()
        if self._connection is not None:
            self._connection.stopService()  # its channels need not be closed first: a blocked broker does not answer
        self._link.stopService().addBoth(self._end)

    def _end(self, _: object) -> None:
        restart = self._state is WorkerState.RESTARTING
        self._state = WorkerState.STOPPED
        self._signals.end()
        closed, self._closed = self._closed, []
        if restart:
            self._start()  # before the callbacks, which may stop the worker again
        for deferred in closed:
            deferred.callback(None)

    def abort(self) -> None:
        """Do not wait for calls in progress, when :meth:`stopService` was called or will be.

        This applies until the worker has stopped, or starts anew.
        """
        self._drain.abort()
