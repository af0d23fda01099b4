"""Apache Thrift's own compiler: finding it, running it, and passing on what it says.

The parsed IDL is asked for as XML. ``json:merge``, which would be nearer to what we write, forgets enums, typedefs
and which file a name comes from, and every such generator refuses names that are reserved in some other language
(a method ``delete``) in the file it is given, though not in included ones: so it is given a file that includes ours.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from rpc.compiler.sources import Source
from rpc.errors import CompileError

OLDEST: Final = (0, 17, 0)
"""The oldest compiler that the tests have run with."""

_HOW_TO_INSTALL: Final = "install it (Debian and Ubuntu: apt install thrift-compiler) or say where it is with --thrift"
_LEVEL: Final = re.compile(r"^\[(?:ERROR|FAILURE|WARNING):(?P<where>[^\]]*)\]\s*", re.MULTILINE)
_ABOUT_A_NAME: Final = re.compile(r'(?:reserved language keyword: |Type |Constant |Service )"(?P<name>[\w.]+)"')


@attrs.frozen
class ThriftCompiler:
    """A compiler that is there and new enough; made by :func:`find`."""

    path: str
    version: tuple[int, ...]

    def make_stubs(self, source: Source, out: Path, include_dirs: Sequence[Path]) -> list[str]:
        """Have the stubs of one file (not of its includes) written below a folder; gives the compiler's warnings.

        :raises CompileError: the compiler refuses the file. In its own words, with file and line.
        """
        return self._run("py:twisted", source.path, out, include_dirs, source)

    def parse(self, source: Source, folder: Path, include_dirs: Sequence[Path]) -> str:
        """Give the parsed IDL of a file and all it includes, as XML.

        :param folder: an empty folder that may be written to.
        :raises CompileError: the compiler refuses the file, or its path has both kinds of quotation marks.
        """
        quote = "'" if '"' in str(source.path) else '"'
        if quote in str(source.path):
            raise CompileError(f"{source.shown}: the path has quotation marks of both kinds, which Thrift cannot name")
        wrapper = folder / "wrapper.thrift"
        wrapper.write_text(f"include {quote}{source.path}{quote}\n", "utf-8")
        self._run("xml:merge", wrapper, folder, include_dirs, source)
        return (folder / "wrapper.xml").read_bytes().decode("utf-8", "replace")

    def _run(self, generator: str, path: Path, out: Path, include_dirs: Sequence[Path], source: Source) -> list[str]:
        command = [self.path]
        for folder in include_dirs:
            command += ["-I", str(folder.resolve())]
        command += ["--gen", generator, "-out", str(out), str(path)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except OSError as error:
            raise CompileError(f"the Thrift compiler {self.path} cannot be run: {error.strerror}") from error
        said = (done.stderr + b"\n" + done.stdout).decode("utf-8", "replace")
        if done.returncode != 0:
            raise CompileError(_explain(said, source) or f"{source.shown}: the Thrift compiler failed, saying nothing")
        return _explain(said, source).splitlines()


def find(path: str | None = None) -> ThriftCompiler:
    """Find the Thrift compiler: at a path, or as ``thrift`` on the search path.

    :raises CompileError: there is none, it does not run, or it is too old.
    """
    found = shutil.which(path or "thrift")
    if found is None:
        missing = f"{path}: no such program" if path else "the Thrift compiler (thrift) is not on the search path"
        raise CompileError(f"{missing}: {_HOW_TO_INSTALL}")
    try:
        said = subprocess.run([found, "--version"], capture_output=True, check=False).stdout.decode("utf-8", "replace")
    except OSError as error:
        raise CompileError(f"{found} cannot be run: {error.strerror}: {_HOW_TO_INSTALL}") from error
    version = re.search(r"Thrift version (\d+(?:\.\d+)*)", said)
    if version is None:
        raise CompileError(f"{found} is not a Thrift compiler: --version says {said[:60].strip()!r}; {_HOW_TO_INSTALL}")
    numbers = tuple(int(number) for number in version[1].split("."))
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise CompileError(f"{found} is Thrift {version[1]}, too old: {oldest} is needed; {_HOW_TO_INSTALL}")
    return ThriftCompiler(found, numbers)


def _explain(said: str, source: Source) -> str:
    """Give the compiler's words as ``file:line: words``, files named the user's way, each message once."""
    lines: list[str] = []
    for message in re.split(r"\n\s*(?=\[)|(?<=\S)(?=\[(?:ERROR|FAILURE|WARNING):)|\n\n+", said):
        where = _LEVEL.match(message)
        text = " ".join(_LEVEL.sub("", message).split())
        if not text or text == "Parser error during include pass.":
            continue
        place = where["where"] if where else ""
        for other in source.closure():
            place = place.replace(str(other.path), other.shown)
        name = _ABOUT_A_NAME.search(text)
        if place.startswith(("generation", "arguments")) or not place:
            place = source.locate(name["name"]) if name else source.shown
        line = f"{place}: {text}"
        if line not in lines:
            lines.append(line)
    return "\n".join(lines)
