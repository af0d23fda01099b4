"""The client's half of the control service: asks all workers at once, or one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from rpc.client.connection import Connection
from rpc.client.gathered import Answer, BadAnswer, Question
from rpc.client.options import DEFAULT_OPTIONS
from rpc.client.stub_operation import StubOperation
from rpc.control.answers import Answers
from rpc.control.names import NAME
from rpc.control.stubs.control import Control as ControlStub
from rpc.control.stubs.control.ttypes import Pong, WorkerDescription, WorkerStats
from rpc.errors import AMQPError, ConfigurationError
from rpc.stub import Stub
from rpc.topology import BROADCAST, ServiceTopology, instance_key

WAIT = 1.0
"""Seconds that workers have to answer."""

LONGEST_WAIT = 3600.0

LONGEST_KEY = 255
"""Bytes of a routing key (AMQP 0-9-1, 4.2.5.3, "Strings")."""


class Control:
    """Asks workers about themselves, by any connection to their broker.

    Example::

        control = rpc.control.Control(connection)
        for worker in await control.workers("Glossary"):
            print(worker.instance, worker.version, worker.uptime)

    :ivar connection: over which it asks.

    The connection's user needs write permission for the exchange ``rpc.broadcast``.

    Each method returns a Deferred. It fires when all expected workers have answered, or after `wait` seconds. A worker
    that answers wrongly, or not at all, is named in the result, and does not fail it. It fails with
    :class:`~rpc.errors.ServiceUnavailable` when no worker has ever served on the virtual host, or the permission is
    missing; with :class:`~rpc.errors.BrokerBlocked` or :class:`~rpc.errors.ConnectionLost`; with
    :class:`~rpc.errors.CallTimedOut` when the broker does not answer; and with :class:`~rpc.errors.RPCError` when the
    instance is too long for a routing key, or the user is not known that ``user_id`` asks for. The question was not
    sent then.
    """

    def __init__(self, connection: Connection, *, user_id: bool | str = False, app_id: str | None = None) -> None:
        """
        :param user_id: as for :meth:`rpc.Connection.client`: for workers that answer some users only.
        :param app_id: the same.
        :raises ConfigurationError: an option has a wrong value.
        """
        self.connection = connection
        self._options = DEFAULT_OPTIONS.changed(
            {"name": NAME, "exchange": BROADCAST, "user_id": user_id, "app_id": app_id}
        )
        self._methods = Stub.of(ControlStub).methods

    def __repr__(self) -> str:
        return f"<control over {self.connection!r}>"

    def ping(
        self, service: str | None = None, *, instance: str | None = None, queue: str | None = None, wait: float = WAIT
    ) -> Deferred[Answers[Pong]]:
        """Ask for a sign of life. ``seconds`` of each answer is the round trip.

        :param service: only the workers of this service; default: all workers of the virtual host.
        :param instance: only the worker of this name.
        :param queue: the request queue of `service`, if it has another name than ``rpc.<service>``: how many workers
            are expected is the number of its consumers. Without consumers, or without `service`, the whole `wait`
            passes.
        :param wait: seconds.
        :raises ConfigurationError: `wait` is no number of seconds.
        """
        return self._ask("ping", (), _pong_serves, service, instance, queue, wait)

    def workers(
        self, service: str | None = None, *, instance: str | None = None, queue: str | None = None, wait: float = WAIT
    ) -> Deferred[Answers[WorkerDescription]]:
        """Ask workers what they are and serve, without the text of ``idl.json``. The arguments are those of
        :meth:`ping`.
        """
        return self._ask("describe", ("",), _description_serves, service, instance, queue, wait)

    def describe(
        self, service: str, *, instance: str | None = None, queue: str | None = None, wait: float = WAIT
    ) -> Deferred[Answers[WorkerDescription]]:
        """Ask workers to describe one service, with ``idl.json``, which may be long: give an `instance` of
        :meth:`ping`, unless all are to answer. The arguments are those of :meth:`ping`.
        """
        return self._ask("describe", (service,), _description_serves, service, instance, queue, wait)

    def stats(
        self, service: str | None = None, *, instance: str | None = None, queue: str | None = None, wait: float = WAIT
    ) -> Deferred[Answers[WorkerStats]]:
        """Ask workers what they have counted. The arguments are those of :meth:`ping`."""
        return self._ask("stats", (service or "",), _stats_serve, service, instance, queue, wait)

    def _ask(
        self, method: str, arguments: tuple[Any, ...], serves: Callable[[Any, str], bool], *who: Any
    ) -> Deferred[Answers[Any]]:
        _check_wait(who[-1])
        return Deferred.fromCoroutine(self._gather(method, arguments, serves, *who))

    async def _gather(
        self,
        method: str,
        arguments: tuple[Any, ...],
        serves: Callable[[Any, str], bool],
        service: str | None,
        instance: str | None,
        queue: str | None,
        wait: float,
    ) -> Answers[Any]:
        expected = 1 if instance is not None else await self._consumers(service, queue)

        chosen = _Chosen(serves, service)

        def is_complete(answer: Answer[Any]) -> bool:
            chosen.take(answer)
            return bool(expected) and len(chosen.good) >= (expected or 0)

        operation = StubOperation(
            method=self._methods[method],
            name=method,
            oneway=False,
            options=self._options,
            service=NAME,
            timeout=wait,
        )
        key = NAME if instance is None else instance_key(NAME, instance)
        gathered = await self.connection.gather(Question(operation, arguments, key, wait, is_complete))
        good, bad = tuple(chosen.good.values()), (*gathered.bad, *chosen.bad)
        return Answers(good, bad, expected, gathered.end, gathered.problem)

    async def _consumers(self, service: str | None, queue: str | None) -> int | None:
        """Return how many workers consume the queue of a service; ``None``: it is not known."""
        if service is None:
            return None
        try:
            counts = await self.connection.queue_counts(queue or ServiceTopology(service).queue)
        except AMQPError:  # the question itself says what is wrong with the connection
            return None
        return None if counts is None else counts.consumers


class _Chosen:
    """The answers of workers that serve a service, of each worker the first.

    :ivar good: by the name of the worker.
    :ivar bad: those of peers with a name that no worker can have.
    """

    def __init__(self, serves: Callable[[Any, str], bool], service: str | None) -> None:
        self.good: dict[str, Answer[Any]] = {}
        self.bad: list[BadAnswer] = []
        self._serves = serves
        self._service = service

    def take(self, answer: Answer[Any]) -> None:
        """Take an answer as it comes. Thousands may come to one question."""
        instance: str = answer.value.instance or answer.instance or ""
        if len(instance_key(NAME, instance).encode()) > LONGEST_KEY:
            problem = f"its name has {len(instance)} characters, with which no question reaches it"
            self.bad.append(BadAnswer(None, answer.seconds, problem))
        elif self._service is None or self._serves(answer.value, self._service):
            self.good.setdefault(instance, answer)


def _pong_serves(pong: Pong, service: str) -> bool:
    return service in pong.services


def _description_serves(worker: WorkerDescription, service: str) -> bool:
    return any(each.name == service for each in worker.services)


def _stats_serve(worker: WorkerStats, service: str) -> bool:
    return any(each.name == service for each in worker.services)


def _check_wait(wait: Any) -> None:
    if not isinstance(wait, (int, float)) or isinstance(wait, bool) or not 0 < wait <= LONGEST_WAIT:
        raise ConfigurationError(f"wait={wait!r}: must be a number of seconds above 0, at most {LONGEST_WAIT:g}")
