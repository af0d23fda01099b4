"""The types and services of the files that were compiled, as other files name them.

The compiler's XML names a type by the name of its file, without the folder, and its own. Two files that one file
includes may have one name; Thrift then takes the definition of the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs

from rpc.compiler.idl_xml import DEEPEST, LARGEST, Program, TypeTooLarge
from rpc.compiler.source import Source
from rpc.errors import CompileError

T = TypeVar("T")


@attrs.frozen
class _Known:
    types: Mapping[str, Any]
    services: Mapping[str, str]


class KnownTypes:
    """Finds types and services. A file is added after the files that it includes."""

    def __init__(self) -> None:
        self._files: dict[Path, _Known] = {}

    def add(self, source: Source, program: Program) -> None:
        """Add the definitions of a file."""
        with _in_words(source):
            types = program.types(lambda name, identifier: self._find(source, name, identifier, _types_of))
        services = {service: f"{program.package}.{service}" for service in program.services()}
        self._files[source.path] = _Known(types, services)

    def definitions(self, source: Source, program: Program) -> dict[str, dict[str, Any]]:
        """Return the definitions of a file that was added.

        :raises CompileError: a name is that of a type of the file, and of a type of an include of its name.
        """
        with _in_words(source):
            return program.definitions(
                lambda name, identifier: self._find(source, name, identifier, _types_of),
                lambda name, identifier: self._find(source, name, identifier, _services_of),
            )

    def _find(self, source: Source, name: str, identifier: str, part: Callable[[_Known], Mapping[str, T]]) -> T:
        """Return the definition that a file names, from the name of its program and its own.

        Typedefs are resolved file by file, so a file names only its own definitions and those of its direct includes.
        """
        included = [part(self._files[path]) for path in source.direct if path.stem == name]
        found = [definitions[identifier] for definitions in included if identifier in definitions]
        own = self._files.get(source.path)
        if own is not None and name == source.program and identifier in part(own):
            if found:
                raise CompileError(
                    f"{source.locate(identifier)}: {identifier} is also in an included file of the name "
                    f"{source.path.name}; rename one of the files"
                )
            return part(own)[identifier]
        if not found:
            raise CompileError(f"{source.shown}: no included file {name} has {identifier}")
        return found[-1]


@contextmanager
def _in_words(source: Source) -> Iterator[None]:
    try:
        yield
    except TypeTooLarge as error:
        raise CompileError(
            f"{source.shown}: a type has more than {DEEPEST} levels of lists, sets and maps, or more than {LARGEST} "
            "parts, with its typedefs resolved; Python cannot have its stub. Make structs of its parts"
        ) from error
    except RecursionError as error:
        raise CompileError(f"{source.shown}: a typedef stands for another one too many times in a row") from error


def _types_of(known: _Known) -> Mapping[str, Any]:
    return known.types


def _services_of(known: _Known) -> Mapping[str, str]:
    return known.services
