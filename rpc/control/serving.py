"""The control service as a worker serves it."""

from __future__ import annotations

from typing import Any, Final

import attrs

from rpc.client.gathering import INSTANCE
from rpc.control.facts import WorkerFacts
from rpc.control.handler import ControlHandler
from rpc.control.names import NAME
from rpc.control.stubs.control import Control as ControlStub
from rpc.errors import ConfigurationError
from rpc.interceptors import WorkerInterceptor
from rpc.stub import Stub
from rpc.worker.access import read_rules
from rpc.worker.call import WorkerCall
from rpc.worker.caller_limits import CallerLimits
from rpc.worker.service import ThriftService

MOST_A_SECOND: Final = 20
"""Questions of one caller that a worker answers, on average. One message to all workers costs each of them a reply, and
the counts of 200 services with 8 methods each take 18 ms to tell.
"""

MOST_AT_ONCE: Final = 40
"""The same, when there were none for some seconds."""

LONGEST_REQUEST: Final = 1000
"""Elements of a request: the longest has a name."""


def _check_rules(_: object, __: object, value: Any) -> None:
    if value is not None:
        read_rules(value, NAME, Stub.of(ControlStub).methods)


@attrs.frozen
class ControlOptions:
    """Options of the control service of a worker.

    :ivar allow: the users that may ask; see :class:`rpc.ThriftService`. Default: all that may publish to the worker.
    :raises ConfigurationError: an option has a wrong value.
    """

    allow: Any = attrs.field(default=None, validator=_check_rules)


def control_options(value: Any) -> ControlOptions | None:
    """Return the option ``control`` of a worker; ``None``: there is no control service.

    :raises ConfigurationError: it is neither a truth value nor :class:`ControlOptions`.
    """
    if isinstance(value, ControlOptions):
        return value
    if isinstance(value, bool):
        return ControlOptions() if value else None
    raise ConfigurationError(f"control={value!r}: must be True, False or a rpc.ControlOptions")


def control_service(worker: WorkerFacts, options: ControlOptions) -> ThriftService:
    """Return the control service of `worker`."""
    return ThriftService(
        ControlStub,
        ControlHandler(worker),
        name=NAME,
        redelivery_limit=None,
        max_elements=LONGEST_REQUEST,
        limits=CallerLimits(rate=MOST_A_SECOND, burst=MOST_AT_ONCE),
        allow=options.allow,
        interceptors=[_NameOfWorker(worker)],
    )


class _NameOfWorker(WorkerInterceptor):
    """Writes the worker's name into each answer and error, so that one that cannot be read has a name."""

    def __init__(self, worker: WorkerFacts) -> None:
        self._worker = worker

    def after(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        call.reply_headers[INSTANCE] = self._worker.instance

    def failed(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        self.after(call)
