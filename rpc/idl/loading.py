"""Finds the description of a stub module. It reads files, and imports no stub."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from functools import cache, lru_cache
from types import ModuleType
from typing import Final

from rpc.idl.descriptions import Interface, ServiceDescription
from rpc.idl.document import FILE_NAME, read


def load(stub: ModuleType) -> ServiceDescription | None:
    """Return the IDL's description of a stub module such as ``generated.calculator.Calculator``.

    The packages around the module are searched for ``idl.json``, the nearest first. ``None`` when no file lists the
    stub: plain output of the Thrift compiler has no such file, and works, too.

    :raises ValueError: the file is damaged, or has another format.
    """
    found = _find(stub)
    return None if found is None else found[1]


@lru_cache(maxsize=32)
def text_of(stub: ModuleType) -> str | None:
    """Return the text of the ``idl.json`` that describes a stub module, for peers without the stub.

    ``None`` when there is none, as for :func:`load`.

    :raises ValueError: the file is damaged, or has another format.
    """
    found = _find(stub)
    return None if found is None else _read(found[0])


def _find(stub: ModuleType) -> tuple[str, ServiceDescription] | None:
    """Return the package with the ``idl.json`` that describes a stub module, and the description."""
    for root, interface in _interfaces(stub.__name__):
        service = interface.services.get(stub.__name__[len(root) + 1 :])
        if service is not None:
            return root, service
    return None


IS_UNION: Final = "__idl_is_union__"
"""The attribute by which a class that was made at run time (:mod:`rpc.reflection`) says whether it is a union."""


def is_union(struct: type) -> bool:
    """Return whether a class is a union. Only ``idl.json`` tells; without one the answer is ``False``.

    :raises ValueError: the file is damaged, or has another format.
    """
    said: bool | None = getattr(struct, IS_UNION, None)
    return (struct.__module__, struct.__name__) in _unions(struct.__module__) if said is None else said


@cache
def _unions(module: str) -> frozenset[tuple[str, str]]:
    """Return the unions of the nearest ``idl.json`` that describes a module's structs: their modules and names."""
    for root, interface in _interfaces(module):
        unions = {
            interface.struct_path(key): struct.kind == "union"
            for key, struct in interface.structs.items()
            if struct.module == module[len(root) + 1 :]
        }
        if unions:
            return frozenset(path for path, union in unions.items() if union)
    return frozenset()


def _interfaces(module: str) -> Iterator[tuple[str, Interface]]:
    """Yield the content of each ``idl.json`` in the packages around a module, the nearest first, with its package."""
    parts = module.split(".")
    for length in range(len(parts) - 1, 0, -1):
        root = ".".join(parts[:length])
        text = _read(root)
        if text is not None:
            yield root, _interface(text, root)


def _read(root: str) -> str | None:
    """Return the text of the ``idl.json`` in a package; ``None`` when there is none."""
    try:
        return importlib.resources.files(root).joinpath(FILE_NAME).read_text("utf-8")
    except (OSError, ImportError, TypeError):
        return None


@lru_cache(maxsize=32)
def _interface(text: str, root: str) -> Interface:
    """Read an ``idl.json``. All stubs and structs of an output ask for the same one."""
    return read(text, root)
