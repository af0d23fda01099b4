"""One package tree out of the stubs of each file.

The compiler writes a whole ``ttypes.py``, ``constants.py`` and ``__init__.py`` for every IDL file. Of two files with
one namespace the later would replace the earlier. So each file is compiled into a folder of its own, and modules of one
name are joined here, includes first.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from rpc.compiler.name_repairs import rename_keywords
from rpc.compiler.references import make_relative
from rpc.compiler.source import Source
from rpc.errors import CompileError

TOO_LARGE: Final = "a struct has too many fields, or a constant too many parts, for Python to compile its stub"

_SHARED: Final = ("ttypes", "constants")
_ROOT_INIT: Final = '"""Made by `thrift-rpc compile`; it writes over what is changed here."""\n'


@attrs.frozen
class Stubs:
    """The stubs of one file.

    :ivar package: the Python package that the compiler chose, below the output's root.
    :ivar modules: the text of each module, by its name in the package; ``-remote`` scripts are left out.
    """

    source: Source
    package: str
    modules: dict[str, str] = attrs.field(repr=False)


def collect(source: Source, folder: Path) -> Stubs:
    """Read the stubs that the compiler wrote for one file into a folder.

    :raises CompileError: the folder does not have exactly one package with types.
    """
    found = sorted(folder.rglob("ttypes.py"))
    if len(found) != 1:
        raise CompileError(f"{source.shown}: the Thrift compiler wrote {len(found)} ttypes.py where one was expected")
    home = found[0].parent
    modules = {
        path.stem: path.read_bytes().decode("utf-8", "replace")
        for path in sorted(home.glob("*.py"))
        if path.name != "__init__.py"
    }
    return Stubs(source, ".".join(home.relative_to(folder).parts), modules)


def arrange(compiled: Sequence[Stubs]) -> dict[str, str]:
    """Return the files of the package: text by path (with ``/``) below the output's root.

    :param compiled: the stubs of each file after those of its includes.
    :raises CompileError: two files make the same module, or a module is not Python.
    """
    _refuse_collisions(compiled)
    everything = frozenset(f"{stubs.package}.{module}" for stubs in compiled for module in stubs.modules)
    files = {"__init__.py": _ROOT_INIT, "py.typed": ""}
    names: dict[str, list[str]] = {}
    for stubs in compiled:
        folder = stubs.package.replace(".", "/")
        for parent in _parents(folder):
            files.setdefault(f"{parent}/__init__.py", "")
        for module, text in stubs.modules.items():
            path = f"{folder}/{module}.py"
            try:
                relative = make_relative(rename_keywords(text, module), stubs.package, everything)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    compile(relative, path, "exec", dont_inherit=True)
            except SyntaxError as error:
                raise CompileError(
                    f"{stubs.source.shown}: the Thrift compiler made {path} of it, which is not Python ({error.msg})"
                ) from error
            except (RecursionError, MemoryError) as error:  # Python's parser raises either
                raise CompileError(f"{stubs.source.shown}: {TOO_LARGE}") from error
            files[path] = f"{files[path]}\n\n{relative}" if path in files else relative
        listed = names.setdefault(folder, list(_SHARED))
        listed += sorted(set(stubs.modules) - set(_SHARED))
    for folder, listed in names.items():
        files[f"{folder}/__init__.py"] = f"__all__ = {listed!r}\n"
    return files


def _parents(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _refuse_collisions(compiled: Sequence[Stubs]) -> None:
    services: dict[str, Stubs] = {}
    for stubs in compiled:
        for module in stubs.modules:
            if module in _SHARED:
                continue
            rival = services.setdefault(f"{stubs.package}.{module}", stubs)
            if rival is not stubs:
                raise CompileError(
                    f"{stubs.source.locate(f'service {module}')}: service {module} is in the namespace {stubs.package} "
                    f"already, from {rival.source.locate(f'service {module}')}; rename one"
                )
    for stubs in compiled:
        for parent in _parents(stubs.package.replace(".", "/")):
            rival_service = services.get(parent.replace("/", "."))
            if rival_service is not None:
                name = parent.rpartition("/")[2]
                raise CompileError(
                    f"{rival_service.source.locate(f'service {name}')}: service {name} has the Python name of the "
                    f"namespace of {stubs.source.shown}; rename one"
                )
