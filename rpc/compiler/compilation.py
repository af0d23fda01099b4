"""The whole of one run: from paths to the content of every file of the output, in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from rpc import idl
from rpc.compiler import driver, field_numbers, layout, method_annotations, names, pyi, sources
from rpc.compiler.idl_xml import Programs
from rpc.errors import CompileError


@attrs.frozen
class Compilation:
    """What the IDL compiles to.

    :ivar files: content by path (with ``/``) below the output's root.
    :ivar warnings: what the Thrift compiler warned of, and annotations that nobody reads, a line each.
    """

    files: dict[str, bytes] = attrs.field(repr=False)
    warnings: tuple[str, ...]


def compile_idl(paths: Iterable[Path], include_dirs: Sequence[Path] = (), thrift: str | None = None) -> Compilation:
    """Compile IDL files, and all they include, into one package. Writes nothing outside of a temporary folder.

    :param paths: ``.thrift`` files, or folders that are searched for them.
    :param include_dirs: where includes are looked for that are not beside their file.
    :param thrift: the Thrift compiler to run; the default is ``thrift`` on the search path.
    :raises CompileError: with the whole message for the user.
    """
    compiler = driver.find(thrift)
    found = sources.find(paths, include_dirs)
    warnings: dict[str, None] = {}
    compiled: dict[Path, layout.Stubs] = {}
    content: dict[str, Any] = {"format": idl.FORMAT, "structs": {}, "enums": {}, "constants": {}, "services": {}}
    defined: dict[str, str] = {}
    for source in found:
        with tempfile.TemporaryDirectory(prefix="thrift-rpc-") as folder:
            stubs_folder = Path(folder, "stubs")
            xml_folder = Path(folder, "xml")
            stubs_folder.mkdir()
            xml_folder.mkdir()
            warnings.update(dict.fromkeys(compiler.make_stubs(source, stubs_folder, include_dirs)))
            stubs = layout.collect(source, stubs_folder)
            xml = compiler.parse(source, xml_folder, include_dirs)
        compiled[source.path] = stubs
        packages = {other.program: compiled[other.path].package for other in source.closure()}
        definitions = Programs(xml, packages).definitions(source.program)
        names.check(source, stubs.package, definitions)
        field_numbers.check(source, definitions)
        warnings.update(dict.fromkeys(method_annotations.check(source, definitions)))
        for section, items in definitions.items():
            for key in items:
                _claim(defined, key, source)
            content[section].update(items)
    texts = layout.arrange(list(compiled.values()))
    texts.update(pyi.write(idl.parse(content), (stubs.package for stubs in compiled.values())))
    content["files"] = sorted([*texts, idl.FILE_NAME])
    texts[idl.FILE_NAME] = json.dumps(content, indent=1, sort_keys=False, ensure_ascii=False) + "\n"
    return Compilation({path: text.encode("utf-8") for path, text in texts.items()}, tuple(warnings))


def _claim(defined: dict[str, str], key: str, source: sources.Source) -> None:
    """Refuse the second of two definitions that have one name in one namespace."""
    package, _, name = key.rpartition(".")
    place = source.locate(name)
    rival = defined.setdefault(key, place)
    if rival != place:
        raise CompileError(f"{place}: {name} is in the namespace {package} already, from {rival}; rename one")
