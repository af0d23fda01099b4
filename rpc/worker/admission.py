"""Policies that admit a request or reject it, between its header and its arguments.

To add one, write a function that takes the service and returns a :data:`~rpc.worker.request.Policy`, or ``None`` when
the service does not ask for it. Put it into a file of its own, and its name into :data:`POLICIES`::

    def maintenance(service: ThriftService) -> Policy | None:
        closed = service.closed_methods  # an option

        def admit(request: Request, method: StubMethod, now: float) -> None:
            if method.name in closed:
                raise rejection.overloaded(f"{request.label} is closed for maintenance")

        return admit if closed else None

A oneway request that is rejected becomes a dead letter, because its caller cannot be told.

The function is called once for each worker, so its state belongs to one service of one worker. A test of it gives it a
:class:`~rpc.worker.request.Request` and the time; ``rpc.testing.Harness`` shows what the caller gets.
"""

from __future__ import annotations

from collections.abc import Callable

from rpc.worker.request import Policy
from rpc.worker.service import ThriftService

POLICIES: tuple[Callable[[ThriftService], Policy | None], ...] = ()
"""In the order in which they are asked."""


def policies_of(service: ThriftService) -> tuple[Policy, ...]:
    """Return the policies that hold for `service`."""
    made = (make(service) for make in POLICIES)
    return tuple(policy for policy in made if policy is not None)
