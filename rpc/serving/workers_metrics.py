"""The metrics of all worker processes on one page: a supervisor asks each of them.

A process listens at a free port of 127.0.0.1, and tells its supervisor which. So Prometheus has one address, which no
restart changes. The processes answer in OpenMetrics: it has exemplars, and an end, so half an answer is none.

Each sample gets the label ``worker``, the number of its process. The samples are not summed up: a sum would drop when a
process ends, and Prometheus would take the rest of the sum for new calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NoReturn

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from rpc.log_limit import LogLimit
from rpc.metrics.families import WORKER_UP

PATIENCE: Final = 5.0
"""Seconds that a process has to answer. Prometheus waits ten, unless it is configured otherwise."""

WORKER: Final = "worker"
"""The label. As Prometheus does, a label of the user's with this name is renamed."""

LINES: Final = 10
"""Of the log in a second, at most, about processes that have not answered."""


class WorkersMetrics:
    """Asks the worker processes at each scrape. One that does not answer is missing, and its ``rpc_worker_up`` is 0."""

    def __init__(self, reactor: Any, ports: Callable[[], Mapping[int, int | None]]) -> None:
        """:param ports: returns the port of each process by its number; ``None``: it cannot be asked."""
        self._reactor = reactor
        self._ports = ports
        self._limit = LogLimit(reactor, LINES)

    def __call__(self) -> Deferred[CollectorRegistry]:
        """Return a registry with the metrics of this moment. It fires after :data:`PATIENCE` at the latest.

        Its cancellation does not reach the processes: their answers are dropped.
        """
        ports = self._ports()
        waiting: Deferred[CollectorRegistry] = Deferred()
        answers = gatherResults([self._ask(number, port) for number, port in ports.items()])
        whole = answers.addCallback(lambda found: _registry(merged(dict(zip(ports, found, strict=True)))))
        whole.chainDeferred(waiting)
        return waiting

    def _ask(self, number: int, port: int | None) -> Deferred[list[Metric] | None]:
        """Return the families of a process, or ``None``: it has not answered. It does not fail."""
        if port is None:
            return succeed(None)
        asking: Deferred[list[Metric] | None] = Deferred.fromCoroutine(self._get(port))
        asking.addTimeout(PATIENCE, self._reactor, _timed_out)
        return asking.addErrback(self._unanswered, number)

    async def _get(self, port: int) -> list[Metric]:
        answer: Any = await TCP4ClientEndpoint(self._reactor, "127.0.0.1", port).connect(_Questions())
        head, _, body = (await answer.whole).partition(b"\r\n\r\n")
        status = head.partition(b"\r\n")[0].decode(errors="replace")
        if status.split(" ")[1:2] != ["200"]:
            raise ValueError(f"the answer begins with {status!r}")
        return list(text_string_to_metric_families(body.decode()))

    def _unanswered(self, failure: Failure, number: int) -> None:
        error = failure.value
        self._limit.note(lambda: f"worker {number} has not told its metrics: {type(error).__name__}: {error}")


def _timed_out(_: object, seconds: float) -> NoReturn:
    """Fail with the time-out. The error of the cancelled question is dropped."""
    raise TimeoutError(f"no answer in {seconds:g} s")


class _Answer(Protocol):
    """Gets a page by HTTP/1.0 (RFC 1945). Twisted's Agent would write two lines to the log for each.

    :ivar whole: fires with head and body when the server closes. Cancelling it ends the connection.
    """

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred(lambda _: self._give_up())
        self._parts: list[bytes] = []

    def connectionMade(self) -> None:
        """Ask."""
        assert self.transport is not None
        self.transport.write(f"GET /metrics HTTP/1.0\r\nAccept: {CONTENT_TYPE_LATEST}\r\n\r\n".encode())

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The answer has ended."""
        if self.whole.called:
            return
        if reason.check(ConnectionDone):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(reason)

    def _give_up(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class _Questions(Factory):
    """Asks, and leaves no line about it in the log."""

    noisy = False
    protocol = _Answer


def merged(answers: Mapping[int, Iterable[Metric] | None]) -> list[Metric]:
    """Return the families of all processes, each once, with the label ``worker``.

    :param answers: the families of each process by its number; ``None``: it has not answered.
    """
    up = WORKER_UP.family()
    families: dict[str, Metric] = {}
    for number, answer in answers.items():
        up.add_metric((str(number),), 0 if answer is None else 1)
        for family in answer or ():
            whole = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type, family.unit)
            )
            whole.samples += [sample._replace(labels=_labelled(sample.labels, number)) for sample in family.samples]
    return [up, *families.values()]


def _labelled(labels: Mapping[str, str], number: int) -> dict[str, str]:
    others = {f"exported_{name}" if name == WORKER else name: value for name, value in labels.items()}
    return {**others, WORKER: str(number)}


class _Families(Collector):
    """Has families already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Return them."""
        return iter(self._families)


def _registry(families: list[Metric]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Families(families))
    return registry
