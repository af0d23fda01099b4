"""The size of the topology that is measured, and the figures that a measurement returns."""

from __future__ import annotations

import attrs


@attrs.frozen
class Plan:
    """How many of each.

    :ivar services: names under which the one stub is served.
    :ivar workers: workers, each of which serves all services.
    :ivar clients: connections of clients.
    :ivar calls: calls of a measurement by call.
    :ivar in_flight: calls in progress at a time.
    :ivar cancellations: calls of a measurement that cancels each of them.
    :ivar crowds: numbers of workers at which a cancelled call is measured.
    :ivar queue_type: of the services, ``"classic"`` or ``"quorum"``.
    """

    services: int = 300
    workers: int = 1
    clients: int = 300
    calls: int = 20_000
    in_flight: int = 100
    cancellations: int = 500
    crowds: tuple[int, ...] = (1, 10, 100)
    queue_type: str = "classic"


@attrs.frozen
class Figure:
    """One number.

    :ivar measurement: the measurement it belongs to.
    :ivar name: of the quantity.
    """

    measurement: str
    name: str
    value: float
    unit: str
