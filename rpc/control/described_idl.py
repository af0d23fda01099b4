"""The IDL of a service as its worker describes it, for programs without its stub."""

from __future__ import annotations

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
    parts = service.stub.split(".")
    keys = (".".join(parts[place:]) for place in range(len(parts)))  # the package around idl.json may have any name
    return next((services[key] for key in keys if key in services), None)
