"""Completes the generated modules, where the Thrift compiler's own text does not work.

- Structs in sets and keys are made hashable, and sets and maps with lists, sets or maps in such places are read as
  hashable values (:mod:`rpc.generated_structs`); so are constants and defaults (:mod:`rpc.compiler.literals`).
- A struct with a field without a number gets its ``thrift_spec`` (:mod:`rpc.compiler.unnumbered`).
- Defaults that are lists, sets, maps or structs are copied (:mod:`rpc.compiler.defaults`).
- Names that begin with an underscore, or are ``Exception``, are repaired (:mod:`rpc.compiler.name_repairs`); so are
  types with the names of a service's classes (:mod:`rpc.compiler.service_names`),
  arguments with the names of variables (:mod:`rpc.compiler.argument_repairs`), and fields with the names of methods
  (:mod:`rpc.compiler.method_fields`).

An output that needs none of this stays as it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rpc.compiler.argument_repairs import repair_arguments
from rpc.compiler.audit import foreign_code
from rpc.compiler.defaults import compare_parameters
from rpc.compiler.documenting import document
from rpc.compiler.hashed_types import Definitions, HashedTypes, hashed_types, helper_structs
from rpc.compiler.layout import TOO_LARGE
from rpc.compiler.literals import FREEZE, freeze_literals
from rpc.compiler.method_fields import call_by_class, has_method_fields
from rpc.compiler.name_repairs import repair_names, types_of
from rpc.compiler.references import ANCHOR, import_line
from rpc.compiler.service_names import NAMES, qualify_types
from rpc.compiler.unnumbered import COMPLETE, is_unnumbered, write_spec
from rpc.errors import CompileError
from rpc.idl import python_name

SHOWN: Final = 80
"""Characters of a piece of Python that an error shows."""

_BY_VALUE: Final = "_idl_by_value"
_READS_FROZEN: Final = "_idl_reads_frozen"
_FREEZE_SPECS: Final = "_idl_freeze_specs"
_FIX_SPECS: Final = "\nfix_spec(all_structs)\n"
"""The compiler's line that puts the ``thrift_spec`` of each struct into those that contain it."""

_CLASS: Final = re.compile(r"^class (\w+)\(", re.MULTILINE)

_IMPORTS: Final = (
    (f"{FREEZE}(", f"from rpc.frozen import freeze as {FREEZE}\n"),
    (f"@{_BY_VALUE}\n", f"from rpc.generated_structs import by_value as {_BY_VALUE}\n"),
    (f"@{_READS_FROZEN}\n", f"from rpc.generated_structs import reads_frozen as {_READS_FROZEN}\n"),
    (f"{_FREEZE_SPECS}(", f"from rpc.generated_structs import freeze_specs as {_FREEZE_SPECS}\n"),
    (f"{COMPLETE}(", f"from rpc.generated_structs import complete_spec as {COMPLETE}\n"),
)
"""What a module imports when it has the text before it."""


def finish(files: dict[str, str], definitions: Definitions) -> dict[str, str]:
    """Return the files of an output with their generated modules completed.

    :param files: text by path, as :func:`rpc.compiler.layout.arrange` returns them.
    :raises CompileError: a completed module is not Python, or holds what no stub has (:mod:`rpc.compiler.audit`).
    """
    hashed = hashed_types(definitions)
    finished = dict(files)
    for module, owners in _owners(definitions).items():
        path = f"{module.replace('.', '/')}.py"
        with _our_fault(path):
            text = _finish_module(files[path], module, owners, hashed, definitions)
            finished[path] = document(text, module, definitions)
        foreign = foreign_code(refuse_broken(path, finished[path]), definitions)
        if foreign is not None:
            raise CompileError(
                f"{path}: the module would have {ast.unparse(foreign)[:SHOWN]!r}, which does not belong in a stub; "
                "nothing was written. Look for a constant or default in the IDL that Python does not have"
            )
    return finished


def refuse_broken(path: str, text: str) -> ast.Module:
    """Return the syntax tree of a file of the output that is complete.

    :raises CompileError: it is not Python.
    """
    with _our_fault(path):
        tree = ast.parse(text, path)
        compile(tree, path, "exec", dont_inherit=True)  # finds more errors, such as a parameter that is there twice
    return tree


@contextmanager
def _our_fault(path: str) -> Iterator[None]:
    """Put an error of Python's compiler into words. The user should not meet it first when he imports the file."""
    try:
        yield
    except SyntaxError as error:
        raise CompileError(
            f"{path}: the completed module is not Python (line {error.lineno}: {error.msg}). This is a fault of "
            "thrift-rpc, not of the IDL: report it, with the IDL"
        ) from error
    except (RecursionError, MemoryError) as error:  # Python's parser raises either
        raise CompileError(f"{path}: {TOO_LARGE}") from error


def _owners(definitions: Definitions) -> dict[str, list[tuple[str, str, list[dict[str, Any]]]]]:
    """Return the classes of structs of each module: key, name of the class, and fields."""
    owners: dict[str, list[tuple[str, str, list[dict[str, Any]]]]] = {}
    for package in {key.rpartition(".")[0] for section in definitions.values() for key in section}:
        owners[f"{package}.ttypes"] = []
        owners[f"{package}.constants"] = []
    for key, struct in definitions["structs"].items():
        package, _, name = key.rpartition(".")
        owners[f"{package}.ttypes"].append((key, python_name(name), struct["fields"]))
    for key, service in definitions["services"].items():
        owners[key] = [(f"{key}.{name}", name, fields) for name, fields in helper_structs(service)]
    return owners


def _finish_module(
    text: str,
    module: str,
    owners: Sequence[tuple[str, str, list[dict[str, Any]]]],
    hashed: HashedTypes,
    definitions: Definitions,
) -> str:
    package = module.rpartition(".")[0]
    text = repair_names(text, package, definitions)
    if package in hashed.packages:
        text = freeze_literals(text)
    if module in definitions["services"]:
        methods = definitions["services"][module]["methods"]
        text = repair_arguments(text, {argument["name"] for method in methods for argument in method["arguments"]})
    if has_method_fields(definitions):
        text = call_by_class(text)  # after the arguments: the calls have their names
    used: set[str] = set()
    clashing = NAMES.intersection(types_of(package, definitions)) if module in definitions["services"] else ()
    if clashing:
        text = qualify_types(text, package, clashing)
        used.add(f"{package}.ttypes")
    text = compare_parameters(text, {name: fields for _, name, fields in owners})
    for _, name, fields in owners:
        if is_unnumbered(fields):
            text, more = write_spec(text, name, fields, package)
            used |= more
    text = _decorate(text, {name: "".join(_decorators(key, hashed)) for key, name, _ in owners})
    if f"@{_READS_FROZEN}\n" in text:
        text = text.replace(_FIX_SPECS, f"\n{_FREEZE_SPECS}(all_structs){_FIX_SPECS}")
    return _with_imports(text, package, used)


def _decorate(text: str, decorators: Mapping[str, str]) -> str:
    """Write decorators, by the name of the class, above classes."""
    return _CLASS.sub(lambda found: decorators.get(found[1], "") + found[0], text)


def _decorators(key: str, hashed: HashedTypes) -> Iterator[str]:
    """Yield the lines above the class of a struct; the last one stands nearest to it."""
    if key in hashed.readers:
        yield f"@{_READS_FROZEN}\n"
    if key in hashed.structs:
        yield f"@{_BY_VALUE}\n"


def _with_imports(text: str, package: str, modules: Iterable[str]) -> str:
    lines = [line for sign, line in _IMPORTS if sign in text]
    lines += [f"{import_line(module, package)}\n" for module in sorted(modules)]
    missing = "".join(line for line in lines if line not in text)
    return text.replace(ANCHOR, ANCHOR + missing, 1)
