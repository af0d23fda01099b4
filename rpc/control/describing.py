"""Pure: services and states of a worker as structs of the control service."""

from __future__ import annotations

from typing import Any, Final

import attrs

from rpc import idl
from rpc.control.stubs.control.ttypes import MethodDescription, ServiceDescription, ServiceState, Status
from rpc.stub import StubMethod
from rpc.worker.consumer import ConsumerState
from rpc.worker.readiness import Readiness
from rpc.worker.service import ThriftService
from rpc.worker.worker_state import WorkerState

ELSEWHERE: Final = frozenset(("stub", "handler", "factory", "name", "exchange", "queue", "description"))
"""Fields of a service that are no options, or have a field of their own in a description."""

NOT_SHOWN: Final = frozenset(("keys", "allow", "interceptors"))
"""Options of which a description says only that they are set: secrets, names of users, and functions."""

IS_SET: Final = "set"


def status_of(state: WorkerState, readiness: Readiness) -> int:
    """Return the :class:`Status` of a worker."""
    if readiness is Readiness.STOPPING:
        return Status.STOPPING
    if state is WorkerState.STARTING:
        return Status.STARTING
    return Status.ALIVE if readiness is Readiness.READY else Status.WARNING


def service_state_of(state: ConsumerState) -> int:
    """Return the :class:`ServiceState` of a service."""
    known: int = getattr(ServiceState, state.name, ServiceState.UNKNOWN)
    return known


def describe_service(service: ThriftService, state: ConsumerState, *, with_idl: bool) -> ServiceDescription:
    """Return the description of a service.

    :param with_idl: whether it has the text of ``idl.json``, if there is such a file.
    """
    topology = service.topology()
    return ServiceDescription(
        name=service.name,
        idl_name=service.description.service,
        stub=service.stub.__name__,
        state=service_state_of(state),
        exchange=topology.exchange,
        queue=topology.queue,
        methods=[_method(method) for method in service.description.methods.values()],
        options=options_of(service),
        idl_json=idl.text_of(service.stub) if with_idl else None,
    )


def _method(method: StubMethod) -> MethodDescription:
    return MethodDescription(
        name=method.name, is_oneway=method.oneway, is_idempotent=method.idempotent, timeout=method.timeout
    )


def options_of(service: ThriftService) -> dict[str, str]:
    """Return the options of a service that differ from their defaults, as text."""
    fields = [field for field in attrs.fields(ThriftService) if field.name not in ELSEWHERE]
    values = {field.name: getattr(service, field.name) for field in fields if not _is_default(service, field)}
    return {name: IS_SET if name in NOT_SHOWN else _text(value) for name, value in values.items()}


def _is_default(service: ThriftService, field: attrs.Attribute[Any]) -> bool:
    default: Any = field.default
    factory = getattr(default, "factory", None)
    return bool(getattr(service, field.name) == (default if factory is None else factory()))


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
