"""The service's name on the broker, and the names of states."""

from __future__ import annotations

from typing import Final

from rpc.control.stubs.control.ttypes import ServiceState, Status

NAME: Final = "rpc.control"
"""The control service's name. Its requests have this routing key at the exchange ``rpc.broadcast``, or
``rpc.control@<instance>`` there or at the exchange ``rpc``.
"""


def _members(enum: type) -> dict[int, str]:
    """Return the names of an enum of Thrift, by number."""
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_STATUSES: Final = _members(Status)
_STATES: Final = _members(ServiceState)


def status_name(status: int) -> str:
    """Return the name of a :class:`Status`, which a later version may have sent."""
    return _STATUSES.get(status, f"status {status}")


def service_state_name(state: int) -> str:
    """Return the name of a :class:`ServiceState`."""
    return _STATES.get(state, f"state {state}")
