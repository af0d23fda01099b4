"""The IDL files to compile and every file that they include, ordered so that each file follows its includes.

The Thrift compiler decides which files are included: it lists them while it parses. Before that,
:mod:`rpc.compiler.includes` has refused the files that it must not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from rpc.compiler import includes
from rpc.compiler.driver import ThriftCompiler
from rpc.compiler.source import Source
from rpc.errors import CompileError


def find(compiler: ThriftCompiler, paths: Iterable[Path], include_dirs: Sequence[Path] = ()) -> tuple[Source, ...]:
    """Parse the files at some paths (files, or folders that are searched for ``*.thrift``) and their includes.

    :param include_dirs: folders that are searched for an include that is not beside the file that includes it.
    :raises CompileError: a path or an include does not exist; a folder has no IDL; a file includes itself; the Thrift
        compiler refuses a file.
    """
    reader = _Reader(compiler, tuple(paths), include_dirs)
    for path in reader.paths:
        if path.is_dir():
            files = sorted(path.rglob("*.thrift"))
            if not files:
                raise CompileError(f"{path}: there is no .thrift file in this folder")
        elif path.is_file():
            files = [path]
        else:
            raise CompileError(f"{path}: no such file or folder")
        for file in files:
            reader.read_given(file)
    if not reader.sources:
        raise CompileError("nothing to compile: name .thrift files or folders that contain them")
    return tuple(reader.sources.values())


class _Reader:
    """Parses each file once, its includes before it.

    :ivar sources: the files that were parsed, in that order.
    """

    def __init__(self, compiler: ThriftCompiler, paths: tuple[Path, ...], include_dirs: Sequence[Path]) -> None:
        self.paths = paths
        self.sources: dict[Path, Source] = {}
        self._compiler = compiler
        self._include_dirs = include_dirs
        folders = [path if path.is_dir() else path.parent for path in paths]
        files = [path.resolve().parent for path in paths if path.is_file()]
        self._roots = [*(folder.resolve() for folder in (*folders, *include_dirs)), *files]

    def read_given(self, file: Path) -> None:
        """Parse a file that was given, or is in a folder that was given.

        :raises CompileError: it is a link that leads elsewhere, or is refused for another reason.
        """
        path = file.resolve()
        if not any(path.is_relative_to(root) for root in self._roots):
            raise CompileError(f"{file}: is a link to {path}, outside of the folders that were given to compile")
        self.read(path, str(file))

    def read(self, path: Path, shown: str) -> None:
        """Parse a file and its includes.

        :param path: with all links resolved.
        :param shown: the path in messages.
        """
        if path in self.sources:
            return
        source = includes.read(path, shown)
        includes.check(source, self._include_dirs, self._roots, self._shown)
        parsed = self._compiler.parse(source, self._include_dirs, self._shown)
        for included in parsed.includes:
            if not any(included.is_relative_to(root) for root in self._roots):
                raise CompileError(f"{shown}: the Thrift compiler has read {included}, which no include here names")
            self.read(included, self._shown(included))
        if parsed.failure:  # after the includes: a fault of theirs is reported in their own text
            raise CompileError(parsed.failure)
        self.sources[path] = attrs.evolve(source, includes=parsed.includes, direct=parsed.direct, xml=parsed.xml)

    def _shown(self, path: Path) -> str:
        """Return a path as the user would write it: below a folder that was given, if possible."""
        if path in self.sources:
            return self.sources[path].shown
        for folder in (*self.paths, *self._include_dirs, *(given.parent for given in self.paths), Path()):
            if path.is_relative_to(folder.resolve()):
                return str(folder / path.relative_to(folder.resolve()))
        return str(path)
