"""The client's half of the control service: asks all workers at once, or one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from rpc.client.connection import Connection
from rpc.client.gathered import Answer, BadAnswer, Question
from rpc.client.options import DEFAULT_OPTIONS
from rpc.client.stub_operation import StubOperation
from rpc.control.answers import Answers
from rpc.control.names import NAME
from rpc.control.stubs.control import Control as ControlStub
from rpc.control.stubs.control.ttypes import Pong, WorkerDescription, WorkerStats
from rpc.errors import AMQPError
from rpc.stub import Stub
from rpc.topology import BROADCAST, ServiceTopology, instance_key
from rpc.validators import number

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
        """Ask workers whether they answer. ``seconds`` of each answer is the round trip.

        :param service: only the workers of this service; default: all workers of the virtual host.
        :param instance: only the worker of this name.
        :param queue: the request queue of `service`, if it has another name than ``rpc.<service>``: how many workers
            are expected is the number of its consumers. Without consumers, or without `service`, the whole `wait`
            passes.
        :param wait: seconds.
        :raises ConfigurationError: `wait` is no number of seconds.
        """
        return self._ask("ping", (), _pong_serves, _Asked(service, instance, queue, wait))

    def workers(
        self, service: str | None = None, *, instance: str | None = None, queue: str | None = None, wait: float = WAIT
    ) -> Deferred[Answers[WorkerDescription]]:
        """Ask workers to describe themselves, without the text of ``idl.json``. The arguments are those of
        :meth:`ping`.
        """
        return self._ask("describe", ("",), _has_service, _Asked(service, instance, queue, wait))

    def describe(
        self, service: str, *, instance: str | None = None, queue: str | None = None, wait: float = WAIT
    ) -> Deferred[Answers[WorkerDescription]]:
        """Ask workers to describe one service, with ``idl.json``, which may be long: give an `instance` of
        :meth:`ping`, unless all are to answer. The arguments are those of :meth:`ping`.
        """
        return self._ask("describe", (service,), _has_service, _Asked(service, instance, queue, wait))

    def stats(
        self, service: str | None = None, *, instance: str | None = None, queue: str | None = None, wait: float = WAIT
    ) -> Deferred[Answers[WorkerStats]]:
        """Ask workers for the counts of their calls. The arguments are those of :meth:`ping`."""
        return self._ask("stats", (service or "",), _has_service, _Asked(service, instance, queue, wait))

    def _ask(
        self, method: str, arguments: tuple[Any, ...], serves: Callable[[Any, str], bool], asked: _Asked
    ) -> Deferred[Answers[Any]]:
        return Deferred.fromCoroutine(self._gather(method, arguments, serves, asked))

    async def _gather(
        self, method: str, arguments: tuple[Any, ...], serves: Callable[[Any, str], bool], asked: _Asked
    ) -> Answers[Any]:
        expected = await self._expected(asked)
        chosen = _Chosen(serves, asked.service)

        def take(answer: Answer[Any]) -> bool:
            chosen.take(answer)
            return bool(expected) and len(chosen.good) >= (expected or 0)

        operation = StubOperation(
            method=self._methods[method],
            name=method,
            oneway=False,
            options=self._options,
            service=NAME,
            timeout=asked.wait,
        )
        gathered = await self.connection.gather(Question(operation, arguments, asked.routing_key, asked.wait, take))
        good, bad = tuple(chosen.good.values()), (*gathered.bad, *chosen.bad)
        return Answers(good, bad, expected, gathered.end, gathered.problem)

    async def _expected(self, asked: _Asked) -> int | None:
        """Return how many workers are to answer; ``None``: it is not known."""
        if asked.instance is not None:
            return 1
        if asked.service is None:
            return None
        try:
            counts = await self.connection.queue_counts(asked.queue or ServiceTopology(asked.service).queue)
        except AMQPError:  # the broken connection fails the question itself, with its reason
            return None
        return None if counts is None else counts.consumers


@attrs.frozen
class _Asked:
    """The workers that are asked, and how long they have to answer; see :meth:`Control.ping`."""

    service: str | None
    instance: str | None
    queue: str | None
    wait: float = attrs.field(validator=number(0, LONGEST_WAIT, unit=" of seconds"))

    @property
    def routing_key(self) -> str:
        """The key of the question."""
        return NAME if self.instance is None else instance_key(NAME, self.instance)


class _Chosen:
    """The answers of workers that serve a service, of each worker the first.

    :ivar good: by the name of the worker.
    :ivar bad: answers without a worker's name, or with a name that no worker can have: no question reaches such a peer.
    """

    def __init__(self, serves: Callable[[Any, str], bool], service: str | None) -> None:
        self.good: dict[str, Answer[Any]] = {}
        self.bad: list[BadAnswer] = []
        self._serves = serves
        self._service = service

    def take(self, answer: Answer[Any]) -> None:
        """Take an answer as it comes. Thousands may come to one question."""
        instance: str = answer.value.instance
        if not instance:
            self.bad.append(BadAnswer(answer.instance, answer.seconds, "it does not name its worker"))
        elif len(instance_key(NAME, instance).encode()) > LONGEST_KEY:
            problem = f"its name has {len(instance)} characters, with which no question reaches it"
            self.bad.append(BadAnswer(None, answer.seconds, problem))
        elif self._service is None or self._serves(answer.value, self._service):
            self.good.setdefault(instance, answer)


def _pong_serves(pong: Pong, service: str) -> bool:
    return service in pong.services


def _has_service(worker: WorkerDescription | WorkerStats, service: str) -> bool:
    return any(each.name == service for each in worker.services)
