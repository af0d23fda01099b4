"""The states of a worker. ``docs/architecture.md`` shows them."""

from __future__ import annotations

import enum


class WorkerState(enum.Enum):
    """The life of a worker.

    ========================== ================================================ ==========
    from                       when                                             to
    ========================== ================================================ ==========
    STOPPED                    it is started                                    STARTING
    STARTING, REFUSED          the queues of all services are consumed          SERVING
    STARTING                   the broker refuses it for good                   REFUSED
    SERVING                    the broker has refused its queues for a minute   REFUSED
    STARTING, SERVING, REFUSED it is stopped                                    STOPPING
    STOPPING                   it is started                                    RESTARTING
    RESTARTING                 it is stopped                                    STOPPING
    STOPPING                   it has finished its calls, and is not connected  STOPPED
    RESTARTING                 it has finished its calls, and is not connected  STARTING
    ========================== ================================================ ==========
    """

    STOPPED = "not connected"
    STARTING = "connected, or connecting; it has not served yet"
    SERVING = "has served; connected, or connecting again"
    REFUSED = "refused by the broker; it still tries again"
    STOPPING = "finishes the calls in progress, then closes"
    RESTARTING = "as STOPPING, and serves again afterwards"


CONNECTS = (WorkerState.STARTING, WorkerState.SERVING, WorkerState.REFUSED)
"""The states from a start to a stop."""
