"""The service that a command line names, with the types of its methods.

They come from a stub module, from a ``.thrift`` file, or from the service's own workers.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from types import ModuleType

import attrs

from rpc import idl
from rpc.cli.modules import search_current_directory, why_missing
from rpc.compiler import compile_idl
from rpc.errors import ConfigurationError
from rpc.reflection import Reflection
from rpc.stub import Stub


@attrs.frozen
class Target:
    """A service whose methods can be called.

    :ivar stub: its module, as a client takes it.
    :ivar description: its methods and their types.
    """

    stub: ModuleType
    description: idl.ServiceDescription

    @classmethod
    def compiled(cls, name: str) -> Target:
        """Return that of a stub module, which is imported; the current directory is searched first.

        :raises ConfigurationError: the module does not import, is no stub, or no ``idl.json`` describes it.
        """
        return cls.of(_import_module(name))

    @classmethod
    def of(cls, stub: ModuleType) -> Target:
        """Return that of a module.

        :raises ConfigurationError: the module is no stub, or no ``idl.json`` describes it.
        """
        description = Stub.of(stub).description
        if description is None:
            raise ConfigurationError(
                f"no {idl.FILE_NAME} around {stub.__name__} describes its types: compile the IDL with "
                "'thrift-rpc compile'"
            )
        return cls(stub, description)

    @classmethod
    def in_file(cls, path: Path, service: str) -> Target:
        """Return that of a service in a ``.thrift`` file or in its includes. Nothing is written.

        :param service: its name or, when several files have the name, its key in ``idl.json``.
        :raises CompileError: the file cannot be compiled.
        :raises ConfigurationError: there is no such service, or more than one.
        """
        reflection = _compile(path)
        stub = reflection.named(service)
        if stub is None:
            same = [key for key, name in reflection.services.items() if name == service]
            found = f"several services {service!r}" if same else f"no service {service!r}"
            known = ", ".join(sorted(same or reflection.services.values())) or "none"
            raise ConfigurationError(f"{path} has {found}; its services: {known}. The name on the broker is --name")
        return cls.of(stub)

    @staticmethod
    def services_in(path: Path) -> list[str]:
        """Return the names of the services in a ``.thrift`` file and its includes.

        :raises CompileError: the file cannot be compiled.
        """
        return sorted(_compile(path).services.values())


def _compile(path: Path) -> Reflection:
    return Reflection.read(compile_idl([path]).files[idl.FILE_NAME].decode())


def is_module_name(word: str) -> bool:
    """Return whether a word names a stub module: it has a dot, and its first part is a package that can be found.

    A service's name may have dots as well.
    """
    return _has_parts(word) and _is_found(word.partition(".")[0])


def why_no_module(word: str) -> str:
    """Return why a word with dots is taken for the name of a service; empty for a word without dots."""
    package = word.partition(".")[0]
    return f"; nor is there a package {package!r} in {os.getcwd()} or on Python's path" if _has_parts(word) else ""


def _has_parts(word: str) -> bool:
    return "." in word and all(part.isidentifier() for part in word.split("."))


def _is_found(package: str) -> bool:
    search_current_directory()
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # a module that was made by hand
        return True


def _import_module(name: str) -> ModuleType:
    search_current_directory()
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # the module's code may raise any error, and a script ends the program
        why = why_missing(name, error) or f"{name} does not import: {type(error).__name__}: {error}"
        raise ConfigurationError(why) from error
