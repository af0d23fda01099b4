"""Checks the annotations of methods.

Without the check a mistyped name would have no effect and no message, and a wrong value would fail when a client is
made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from rpc.compiler.source import Source
from rpc.errors import CompileError


def _milliseconds(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) > 0


def _truth(text: str) -> bool:
    return text in ("true", "false")


_KNOWN: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "timeout_ms": (_milliseconds, "a whole number of milliseconds above 0"),
    "idempotent": (_truth, '"true" or "false"'),
}

_THRIFT: Final = frozenset({"deprecated"})
"""Annotations of Thrift's own generators. Those of one language have a dot: ``cpp.type``, ``py.immutable``."""


def check(source: Source, definitions: dict[str, dict[str, Any]]) -> list[str]:
    """Check the annotations of all methods of one file; returns a warning for each unknown name.

    :param definitions: as :meth:`rpc.compiler.idl_xml.Programs.definitions` returns them.
    :raises CompileError: some values are refused; the message has a line for each.
    """
    refusals, warnings = [], []
    for service, method, name, value in _annotations(definitions):
        place = source.locate(f"service {service}", f"{method} (", name)
        fits, wanted = _KNOWN.get(name, (None, ""))
        if fits is not None and not fits(value):
            refusals.append(f'{place}: method {method}: {name} = "{value}": must be {wanted}')
        elif fits is None and "." not in name and name not in _THRIFT:
            known = ", ".join(_KNOWN)
            warnings.append(f"{place}: method {method}: nothing reads the annotation {name}; known are {known}")
    if refusals:
        raise CompileError("\n".join(refusals))
    return warnings


def _annotations(definitions: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield service, method, name and value of each annotation."""
    for key, service in definitions["services"].items():
        for method in service["methods"]:
            for name, value in method["annotations"].items():
                yield key.rpartition(".")[2], method["name"], name, value
