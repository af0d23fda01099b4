"""Finds the description of a stub module. It reads files, and imports no stub."""

from __future__ import annotations

import importlib.resources
import json
from types import ModuleType

from rpc.idl.descriptions import ServiceDescription
from rpc.idl.document import FILE_NAME, parse


def load(stub: ModuleType) -> ServiceDescription | None:
    """Return the IDL's description of a stub module such as ``generated.calculator.Calculator``.

    The packages around the module are searched for ``idl.json``, the nearest first. ``None`` when no file lists the
    stub: plain output of the Thrift compiler has no such file, and works, too.

    :raises ValueError: the file is damaged, or has another format.
    """
    parts = stub.__name__.split(".")
    for length in range(len(parts) - 1, 0, -1):
        root = ".".join(parts[:length])
        try:
            text = importlib.resources.files(root).joinpath(FILE_NAME).read_text("utf-8")
        except (OSError, ImportError, TypeError):
            continue
        try:
            interface = parse(json.loads(text), root)
        except (KeyError, TypeError, AttributeError) as damage:
            raise ValueError(f"{FILE_NAME} of {root} is damaged ({damage!r}): compile the IDL again") from damage
        service = interface.services.get(".".join(parts[length:]))
        if service is not None:
            return service
    return None
