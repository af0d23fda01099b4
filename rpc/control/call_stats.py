"""Counts the calls of a worker by method, for the control service. A worker interceptor."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from rpc.call_labels import OTHER, error_type
from rpc.control.stubs.control.ttypes import Latency, MethodStats
from rpc.histogram import BUCKETS, Histogram
from rpc.interceptors import WorkerInterceptor
from rpc.worker.call import Ending, WorkerCall

BOUNDS = (0.0001, 0.00025, 0.0005, *BUCKETS, 60.0, 300.0)
"""Upper bounds of the buckets, in seconds. Workers of all versions need the same ones, so that counts can be added."""

RETURNED = Ending.RETURNED.value
RAISED = Ending.RAISED.value


class _Method(Histogram):
    """The calls of one method, and how long those took that began.

    :ivar outcomes: calls without a result, by how they ended.
    :ivar errors: calls without a result, by the name of their error.
    :ivar in_vain: calls that began, and had no result.
    """

    __slots__ = ("errors", "in_vain", "outcomes")

    def __init__(self) -> None:
        super().__init__(BOUNDS)
        self.outcomes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.in_vain = 0

    @property
    def returned(self) -> int:
        """How many calls had a result: they are not counted by themselves, since most calls have one."""
        return sum(self.counts) - self.in_vain


class CallStats(WorkerInterceptor):
    """Counts the calls of a worker.

    It has no ``before``, and makes no object for a call that returns. ``after`` does the work of :meth:`Histogram.add`
    itself: that saves a function call.
    """

    def __init__(self) -> None:
        self._services: dict[str, dict[str, _Method]] = {}

    def after(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        try:
            method = self._services[call.service][call.method]
        except KeyError:
            method = self._new(call.service, call.method)
        ended = call.ended
        assert ended is not None
        duration = ended - call.began
        method.counts[bisect_left(BOUNDS, duration)] += 1
        method.total += duration

    def failed(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        assert call.ended is not None
        method = self._note(call, call.method)
        method.in_vain += 1
        method.add(call.ended - call.began)

    def rejected(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        self._note(call, call.method if call.is_known else OTHER)

    def _note(self, call: WorkerCall, name: str) -> _Method:
        assert call.ending is not None
        method = self._services.get(call.service, {}).get(name) or self._new(call.service, name)
        method.outcomes[call.ending.value] += 1
        if call.error is not None:
            method.errors[error_type(call.error)] += 1
        return method

    def _new(self, service: str, name: str) -> _Method:
        method = self._services.setdefault(service, {})[name] = _Method()
        return method

    def of(self, service: str) -> list[MethodStats]:
        """Return the counts of a service, by method, in alphabetical order."""
        return [_stats(name, method) for name, method in sorted(self._services.get(service, {}).items())]


def _stats(name: str, method: _Method) -> MethodStats:
    outcomes = {RETURNED: method.returned, **method.outcomes}
    return MethodStats(
        method=name,
        outcomes={outcome: number for outcome, number in outcomes.items() if number},
        errors=dict(method.errors),
        latency=Latency(total=method.total, counts=list(method.counts)),
    )
