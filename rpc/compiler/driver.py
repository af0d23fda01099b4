"""Apache Thrift's own compiler: finding it, running it, and reporting its messages.

The parsed IDL is taken as XML. ``json:merge`` would be nearer to ``idl.json``, but it drops enums, typedefs and the
file of each name. Both generators refuse names that are reserved in some other language (a method ``delete``), though
not in included files. So the compiler is given a wrapper that includes the file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs

from rpc.compiler.reading import understand
from rpc.compiler.source import Source
from rpc.errors import CompileError

OLDEST: Final = (0, 17, 0)
"""The oldest compiler that the tests have run with."""

LONGEST: Final = 30
"""Seconds that one run of the compiler may take."""

_WRAPPER: Final = "wrapper of thrift-rpc.thrift"
"""No other file should have this name: ``xml:merge`` leaves out all but the first of one name."""

_HOW_TO_INSTALL: Final = "install it (Debian and Ubuntu: apt install thrift-compiler) or say where it is with --thrift"
_LEVEL: Final = re.compile(r"^\[(?P<level>ERROR|FAILURE|WARNING):(?P<where>[^\]]*)\]\s*", re.MULTILINE)
_ABOUT_A_NAME: Final = re.compile(r'(?:reserved language keyword:? |Type |Constant |Service )"(?P<name>[\w.]+)"')
_ABOUT_A_COPY: Final = re.compile(r'have identifier "(?P<name>[\w.]+)", but unset enum')
"""The parser leaves the name of a constant in the place of its value, when this is a list, set, map or struct. The
generator for Python would make an empty value of it, and that for XML fails, without a line.
"""

Shown = Callable[[Path], str]
"""Returns a path as messages show it."""


@attrs.frozen
class Parsed:
    """The outcome of parsing one file.

    :ivar includes: every file that it includes, directly or not, each after its own includes.
    :ivar direct: the files that it includes directly, in its order.
    :ivar xml: the parsed IDL of all of them; empty after a failure.
    :ivar failure: the compiler's errors and warnings when it refused the file or an include; otherwise empty.
    """

    includes: tuple[Path, ...]
    direct: tuple[Path, ...]
    xml: str
    failure: str


@attrs.frozen
class ThriftCompiler:
    """A compiler that was found and is new enough; made by :func:`find`."""

    path: str
    version: tuple[int, ...]

    @property
    def release(self) -> str:
        """Its version as ``thrift --version`` writes it."""
        return ".".join(map(str, self.version))

    def make_stubs(self, source: Source, out: Path, include_dirs: Sequence[Path], shown: Shown) -> list[str]:
        """Write the stubs of one file (not of its includes) into a folder; returns the compiler's warnings.

        The compiler pastes doc comments into Python without escaping them. So it is given a copy without comments.

        :raises CompileError: the compiler refuses the file, or cannot be run; in its own words, with file and line.
        """
        with tempfile.TemporaryDirectory(prefix="thrift-rpc-") as folder:
            # Below the same folders as the file: an include with ../ must not find another file beside the copy.
            copy = Path(folder).resolve() / source.path.relative_to(source.path.anchor)
            copy.parent.mkdir(parents=True)
            copy.write_bytes(source.code.encode())
            status, said = self._run("py:twisted", copy, out, [source.path.parent, *include_dirs])
        said = said.replace(str(copy), str(source.path))
        if status != 0:
            raise CompileError(_failure(said, source, shown))
        errors, warnings = _explain(said, source, shown)
        return [*errors, *warnings]

    def parse(self, source: Source, include_dirs: Sequence[Path], shown: Shown) -> Parsed:
        """Parse a file and its includes.

        :raises CompileError: the compiler cannot be run, an include is missing, a file includes itself, or the path
            has both kinds of quotation marks.
        """
        quote = "'" if '"' in str(source.path) else '"'
        if quote in str(source.path):
            raise CompileError(f"{source.shown}: the path has quotation marks of both kinds, which Thrift cannot name")
        with tempfile.TemporaryDirectory(prefix="thrift-rpc-") as folder:
            wrapper = Path(folder).resolve() / _WRAPPER
            wrapper.write_text(f"include {quote}{source.path}{quote}\n", "utf-8")
            status, said = self._run("xml:merge", wrapper, wrapper.parent, include_dirs, "-v")
            xml = wrapper.with_suffix(".xml").read_bytes().decode("utf-8", "replace") if status == 0 else ""
        reading = understand(said)
        if reading.cyclic is not None:
            raise CompileError(f"{shown(reading.cyclic)}: includes itself, directly or through another file")
        if reading.missing is not None:
            searched = ", ".join(map(str, (Path(shown(reading.missing.path)).parent, *include_dirs)))
            raise CompileError(
                f"{shown(reading.missing.path)}:{reading.missing.line}: the included file {reading.missing.name!r} is "
                f"not in {searched}; add its folder with -I"
            )
        if status == 0 and source.path not in reading.files:
            raise CompileError(f"the Thrift compiler {self.path} does not say which files it reads (thrift -v)")
        includes = tuple(path for path in reading.files if path not in (source.path, wrapper))
        direct = reading.includes.get(source.path, ())
        return Parsed(includes, direct, xml, _failure(said, source, shown) if status != 0 else "")

    def _run(
        self, generator: str, path: Path, out: Path, include_dirs: Sequence[Path], *options: str
    ) -> tuple[int, str]:
        """Run the compiler; returns its exit status and its output."""
        command = [self.path, *options]
        for folder in include_dirs:
            command += ["-I", str(folder.resolve())]
        command += ["--gen", generator, "-out", str(out), str(path)]
        try:
            done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=LONGEST)
        except OSError as error:
            raise CompileError(f"the Thrift compiler {self.path} cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise CompileError(f"the Thrift compiler {self.path} did not end within {LONGEST} s: killed") from error
        said = (done.stderr + b"\n" + done.stdout).decode("utf-8", "replace")
        if done.returncode < 0:
            said += f"\n\n[FAILURE:generation] the Thrift compiler crashed with signal {-done.returncode}"
        return done.returncode, said


def find(path: str | None = None) -> ThriftCompiler:
    """Find the Thrift compiler: at a path, or as ``thrift`` on the search path.

    :raises CompileError: it is missing, does not run, or is too old.
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


def _failure(said: str, source: Source, shown: Shown) -> str:
    """Return the compiler's errors, and after them its warnings, marked as such."""
    errors, warnings = _explain(said, source, shown)
    if not errors:
        errors = [f"{source.shown}: the Thrift compiler failed without a message"]
    return "\n".join([*errors, *(f"warning: {warning}" for warning in warnings)])


def _explain(said: str, source: Source, shown: Shown) -> tuple[list[str], list[str]]:
    """Return the compiler's errors and warnings as ``file:line: words``, each once.

    Files are named as the user named them. A message without a level is an error.
    """
    errors: dict[str, None] = {}
    warnings: dict[str, None] = {}
    for message in re.split(r"\n\s*(?=\[)|(?<=\S)(?=\[(?:ERROR|FAILURE|WARNING):)|\n\n+", _without_progress(said)):
        where = _LEVEL.match(message)
        text = " ".join(_LEVEL.sub("", message).split())
        if not text or text == "Parser error during include pass.":
            continue
        file, colon, number = (where["where"] if where else "").rpartition(":")
        if file in ("", "generation", "arguments"):  # the compiler has finished reading, and knows no line
            place, text = _locate(text, source)
        else:
            place = f"{shown(Path(file))}{colon}{number}"
        is_warning = where is not None and where["level"] == "WARNING"
        (warnings if is_warning else errors)[f"{place}: {text}"] = None
    return list(errors), list(warnings)


def _locate(text: str, source: Source) -> tuple[str, str]:
    """Return the place of an error that the compiler found without a line, and its text."""
    copy = _ABOUT_A_COPY.search(text)
    if copy:
        text = f"the constant {copy['name']} is the value of another one, or a default; Thrift makes such copies only "
        text += "of numbers and text: write the list, set, map or struct out"
        return source.locate(f"= {copy['name']}"), text
    name = _ABOUT_A_NAME.search(text)
    return source.locate(name["name"]) if name else source.shown, text


def _without_progress(said: str) -> str:
    """Remove the lines that ``-v`` adds."""
    return re.sub(
        r'^(?:Scanning .* for includes|Parsing .* for types|Program: .*|Generating ".*")$', "", said, flags=re.MULTILINE
    )
