"""The whole of one run: from paths to the content of every file of the output, in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from rpc import idl
from rpc.compiler import (
    driver,
    finishing,
    foreign_names,
    layout,
    method_annotations,
    names,
    pyi,
    sources,
    unnumbered,
)
from rpc.compiler.default_values import add_defaults
from rpc.compiler.hashed_types import Definitions
from rpc.compiler.idl_xml import Program
from rpc.compiler.known_types import KnownTypes
from rpc.compiler.source import Source
from rpc.errors import CompileError


@attrs.frozen
class Compilation:
    """The result of compiling some IDL.

    :ivar files: content by path (with ``/``) below the output's root.
    :ivar compiler: the version of the Thrift compiler.
    :ivar warnings: one line each: the Thrift compiler's, annotations that nothing reads, fields without a number, and
        names that are reserved words in other languages.
    """

    files: dict[str, bytes] = attrs.field(repr=False)
    compiler: str = attrs.field(repr=False)
    warnings: tuple[str, ...]


def compile_idl(paths: Iterable[Path], include_dirs: Sequence[Path] = (), thrift: str | None = None) -> Compilation:
    """Compile IDL files and their includes into one package. Writes nothing outside of temporary folders.

    :param paths: ``.thrift`` files, or folders that are searched for them.
    :param include_dirs: folders that are searched for an include that is not beside the file that includes it.
    :param thrift: the Thrift compiler to run; the default is ``thrift`` on the search path.
    :raises CompileError: the IDL is refused, or the Thrift compiler cannot be run; ``str()`` is the message.
    """
    run = _Run(driver.find(thrift), include_dirs)
    for source in sources.find(run.compiler, paths, include_dirs):
        run.add(source)
    return run.result()


class _Run:
    """The content of the output as far as it is known; files are added after the files that they include."""

    def __init__(self, compiler: driver.ThriftCompiler, include_dirs: Sequence[Path]) -> None:
        self.compiler = compiler
        self._include_dirs = include_dirs
        self._warnings: dict[str, None] = {}
        self._compiled: dict[Path, layout.Stubs] = {}
        self._types = KnownTypes()
        self._shown: dict[Path, str] = {}
        self._homes: dict[str, Source] = {}
        self._content: dict[str, Any] = {
            "format": idl.FORMAT,
            "structs": {},
            "enums": {},
            "constants": {},
            "services": {},
        }

    def add(self, source: Source) -> None:
        self._shown[source.path] = source.shown
        with tempfile.TemporaryDirectory(prefix="thrift-rpc-") as folder:
            said = self.compiler.make_stubs(source, Path(folder), self._include_dirs, self._shown.__getitem__)
            self._warn(line for line in said if not unnumbered.OF_THE_COMPILER.search(line))
            stubs = layout.collect(source, Path(folder))
        self._compiled[source.path] = stubs
        program = Program(source.xml, source.program, stubs.package)
        self._types.add(source, program)
        definitions = self._types.definitions(source, program)
        names.check(source, stubs.package, definitions)
        self._warn(unnumbered.warnings(source, definitions))
        self._warn(method_annotations.check(source, definitions))
        self._warn(foreign_names.warnings(source, definitions))
        for section, items in definitions.items():
            for key in items:
                self._refuse_second_definition(key, source)
            self._content[section].update(items)

    def result(self) -> Compilation:
        texts = finishing.finish(layout.arrange(list(self._compiled.values())), self._definitions())
        packages = (stubs.package for stubs in self._compiled.values())
        types = pyi.write(idl.parse(self._content), packages)
        for path, text in types.items():
            finishing.refuse_broken(path, text)
        add_defaults(texts, self._definitions())
        texts.update(types)
        self._content["files"] = sorted([*texts, idl.FILE_NAME])
        texts[idl.FILE_NAME] = json.dumps(self._content, indent=1, sort_keys=False, ensure_ascii=False) + "\n"
        files = {path: text.encode("utf-8") for path, text in texts.items()}
        return Compilation(files, self.compiler.release, tuple(self._warnings))

    def _definitions(self) -> Definitions:
        return {section: self._content[section] for section in ("structs", "enums", "constants", "services")}

    def _warn(self, warnings: Iterable[str]) -> None:
        self._warnings.update(dict.fromkeys(warnings))

    def _refuse_second_definition(self, key: str, source: Source) -> None:
        """Refuse the second of two definitions that have one name in one namespace."""
        rival = self._homes.setdefault(key, source)
        if rival is not source:
            package, _, name = key.rpartition(".")
            place, other = source.locate(name), rival.locate(name)
            raise CompileError(f"{place}: {name} is in the namespace {package} already, from {other}; rename one")
