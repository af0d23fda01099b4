"""What a generated module may hold: it is parsed before it is written.

The Thrift compiler is trusted to escape the texts of constants, defaults and annotations. This is the proof that it
did: while the module is imported, nothing runs but imports of known modules, definitions, and literals. A name or a
text that had become code would be another kind of node. Functions hold no text of the IDL but names, since the compiler
is given no comments; no function, class or import can stand in them.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from rpc.compiler.hashed_types import Definitions
from rpc.idl import python_name

_MODULES: Final = frozenset({"sys", "logging", "builtins"})
_PACKAGES: Final = frozenset({"thrift", "uuid", "zope", "twisted"})
_OURS: Final = "rpc"
"""Generated modules import these, and relatively one another."""

_RENAMED: Final = frozenset({"import builtins as _idl_builtins", "from twisted.internet import defer as _idl_defer"})
"""What the repairs of names import."""

_CALLED: Final = frozenset({"set", "frozenset", "TFrozenDict", "UUID", "float"})
"""Functions in literals, beside the classes of structs and our own, which begin with ``_idl_``."""

_STATEMENTS: Final = frozenset({"all_structs.append", "fix_spec", "_idl_freeze_specs"})
"""Functions that a module calls for their effect."""

_DECORATORS: Final = frozenset({"classmethod", "implementer"})
_TYPES: Final = frozenset({"TType"})
_NOT_IN_FUNCTIONS: Final = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.Import,
    ast.ImportFrom,
    ast.Global,
    ast.Nonlocal,
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.NamedExpr,
)


def foreign_code(tree: ast.Module, definitions: Definitions) -> ast.AST | None:
    """Return a node of a generated module that no generated module has; ``None`` if there is none.

    :param definitions: all definitions of the output.
    """
    return next(_Audit(definitions).module(tree), None)


class _Audit:
    """Each method yields the nodes that are foreign where it looks."""

    def __init__(self, definitions: Definitions) -> None:
        names = {key.rpartition(".")[2] for section in ("structs", "enums") for key in definitions[section]}
        self._types = frozenset(map(python_name, names)) | {
            f"{method['name']}_{suffix}"
            for service in definitions["services"].values()
            for method in service["methods"]
            for suffix in ("args", "result")
        }

    def module(self, tree: ast.Module) -> Iterator[ast.AST]:
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                yield from self._class(node)
            elif isinstance(node, ast.Assign):
                yield from self._assignment(node)
            elif isinstance(node, ast.Expr):
                yield from self._call(node.value)
            elif not (_is_known_import(node) or (isinstance(node, ast.Delete) and _all_named(node, {"all_structs"}))):
                yield node

    def _class(self, node: ast.ClassDef) -> Iterator[ast.AST]:
        yield from (base for base in node.bases if _dotted(base) is None)
        yield from (*node.keywords, *getattr(node, "type_params", ()))
        yield from self._decorators(node.decorator_list)
        for statement in _without_docstring(node.body):
            if isinstance(statement, ast.FunctionDef):
                yield from self._function(statement)
            elif isinstance(statement, ast.Assign):
                yield from self._assignment(statement)
            elif not isinstance(statement, ast.Pass):
                yield statement

    def _function(self, node: ast.FunctionDef) -> Iterator[ast.AST]:
        yield from self._decorators(node.decorator_list)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        annotations = [argument.annotation for argument in arguments if argument is not None]
        yield from (
            each for each in (*annotations, node.returns, *getattr(node, "type_params", ())) if each is not None
        )
        yield from self._literals([*node.args.defaults, *(item for item in node.args.kw_defaults if item is not None)])
        for statement in _without_docstring(node.body):
            for part in ast.walk(statement):
                if isinstance(part, _NOT_IN_FUNCTIONS) or (isinstance(part, ast.Expr) and _is_text(part.value)):
                    yield part

    def _decorators(self, nodes: Iterable[ast.expr]) -> Iterator[ast.AST]:
        for node in nodes:
            function = node.func if isinstance(node, ast.Call) else node
            arguments = [*node.args, *node.keywords] if isinstance(node, ast.Call) else []
            if not (_is_ours(function) or _dotted(function) in _DECORATORS):
                yield node
            yield from (argument for argument in arguments if _dotted(argument) != "Iface")

    def _assignment(self, node: ast.Assign) -> Iterator[ast.AST]:
        for target in node.targets:
            is_spec = isinstance(target, ast.Attribute) and target.attr == "thrift_spec"
            if not isinstance(target.value if is_spec else target, ast.Name):  # type: ignore[attr-defined]
                yield target
        yield from self._literals([node.value])

    def _call(self, node: ast.expr) -> Iterator[ast.AST]:
        called = isinstance(node, ast.Call) and _dotted(node.func) in _STATEMENTS and not node.keywords
        if not called or not all(isinstance(argument, ast.Name) for argument in node.args):  # type: ignore[attr-defined]
            yield node

    def _literals(self, nodes: Iterable[ast.expr | None]) -> Iterator[ast.AST]:
        """Yield the expressions that are not literals of an IDL. Nested deeply, they are no recursion."""
        pending = [node for node in nodes if node is not None]
        while pending:
            node = pending.pop()
            if isinstance(node, ast.Constant):
                continue
            if isinstance(node, ast.List | ast.Tuple):
                pending += node.elts
            elif isinstance(node, ast.Dict) and None not in node.keys:
                pending += [*(key for key in node.keys if key is not None), *node.values]
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
                pending.append(node.operand)
            elif isinstance(node, ast.Call) and self._is_literal_call(node):
                pending += [*node.args, *(argument.value for argument in node.keywords)]
            elif not self._is_value(node):
                yield node

    def _is_literal_call(self, node: ast.Call) -> bool:
        return _dotted(node.func) in _CALLED or _is_ours(node.func) or self._is_type(node.func)

    def _is_value(self, node: ast.expr) -> bool:
        name = _dotted(node)
        return name is not None and (name.partition(".")[0] in _TYPES or self._is_type(node))

    def _is_type(self, node: ast.expr) -> bool:
        """Return whether an expression is a type of the IDL, or a member of an enum."""
        root, *others = (_dotted(node) or "").split(".")
        if root.startswith("_idl_") and others:  # a generated module
            root, *others = others
        return root in self._types and len(others) < 2


def _is_known_import(node: ast.stmt) -> bool:
    """Return whether a statement imports what generated modules import. A name that a literal may call, or that stands
    for a type, is imported by our own lines alone.
    """
    if ast.unparse(node) in _RENAMED:
        return True
    if isinstance(node, ast.Import):
        return all(alias.name in _MODULES and _is_plain(alias) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        package = (node.module or "").partition(".")[0]
        if node.level > 0 or package == _OURS:
            return all(_is_plain(alias) or str(alias.asname).startswith("_idl_") for alias in node.names)
        return package in _PACKAGES and all(map(_is_plain, node.names))
    return False


def _is_plain(alias: ast.alias) -> bool:
    return alias.asname is None and not alias.name.startswith("_idl_")


def _all_named(node: ast.Delete, names: Collection[str]) -> bool:
    return all(_dotted(target) in names for target in node.targets)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    has_docstring = bool(body) and isinstance(body[0], ast.Expr) and _is_text(body[0].value)
    return body[1:] if has_docstring else body


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_ours(node: ast.AST) -> bool:
    """Return whether a name begins with ``_idl_``, as no name of an IDL does."""
    return isinstance(node, ast.Name) and node.id.startswith("_idl_")


def _dotted(node: ast.AST) -> str | None:
    """Return ``a.b.c``; ``None`` for another expression."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None
