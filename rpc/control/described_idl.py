"""The IDL of a service as its worker describes it, for programs without its stub."""

from __future__ import annotations

from collections.abc import Container

from rpc import idl
from rpc.control.stubs.control.ttypes import ServiceDescription


def idl_of(service: ServiceDescription) -> idl.ServiceDescription | None:
    """Return the description of a service's methods and types.

    :param service: of :meth:`rpc.control.Control.describe`.
    :return: ``None``: the worker has no ``idl.json``, or it does not have the service.
    :raises ValueError: the text is no ``idl.json``, or of another format.
    """
    if service.idl_json is None:
        return None
    services = idl.read(service.idl_json).services
    key = key_of(service.stub, services)
    return None if key is None else services[key]


def key_of(stub: str, services: Container[str]) -> str | None:
    """Return the key in an ``idl.json`` of a worker's stub module; ``None`` when it is not there.

    The package around ``idl.json`` may have any name.

    :param services: the keys.
    """
    parts = stub.split(".")
    return next((key for key in (".".join(parts[place:]) for place in range(len(parts))) if key in services), None)
