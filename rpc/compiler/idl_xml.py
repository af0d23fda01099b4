"""Turns the compiler's XML into the content of ``idl.json``, typedefs resolved; :func:`rpc.idl.parse` reads it.

A key is the Python package below the output's root, a dot and the name: it does not depend on the place of the output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final
from xml.etree import ElementTree

from rpc import idl
from rpc.errors import CompileError

_TAG: Final = re.compile(r'"[^"]*"')
_PREFIX: Final = re.compile(r' xmlns:[^"=]*="[^"]*"')
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_SECTIONS: Final = ("structs", "enums", "constants", "services")


DEEPEST: Final = 18
"""Levels of a type. The generated ``read`` has a loop for each, and Python takes 20 blocks within one another."""

LARGEST: Final = 1000
"""Parts of a type, of all levels."""


class TypeTooLarge(Exception):
    """A type is nested more than :data:`DEEPEST` levels deep, or has more than :data:`LARGEST` parts."""


Lookup = Callable[[str, str], Any]
"""Returns the type that a file names, from the name of its program and its own: ``("shared", "Work")``."""


class Program:
    """A program (a file) of one XML output.

    :param xml: the output of ``xml:merge``.
    :param name: the program's name. Of several documents of this name the first one is meant.
    :param package: its Python package, below the output's root.
    :raises CompileError: the text is not XML, or does not have the program.
    """

    def __init__(self, xml: str, name: str, package: str) -> None:
        # The compiler makes prefixes out of the names of files, also of those that are no names of XML. It does not
        # escape line breaks in attributes, which an XML parser replaces by blanks (XML 1.0, section 3.3.3), nor the
        # control characters of string constants, which are no characters of XML (section 2.2). Neither the prefixes nor
        # the values of constants are needed here.
        text = _TAG.sub(lambda found: found[0].replace("\n", "&#10;"), _PREFIX.sub("", xml))
        try:
            # The compiler writes no entities, and escapes what the IDL says.
            root = ElementTree.fromstring(_FORBIDDEN.sub("\ufffd", text))  # noqa: S314
        except ElementTree.ParseError as error:
            raise CompileError(f"the Thrift compiler wrote XML that cannot be read: {error}") from error
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        document = next((found for found in root.iter("document") if found.get("name") == name), None)
        if document is None:
            raise CompileError(f"the Thrift compiler's XML does not have {name}")
        self.package = package
        self._document = document

    def services(self) -> set[str]:
        """Return the names of the program's services."""
        return {element.attrib["name"] for element in self._document if element.tag == "service"}

    def types(self, lookup: Lookup) -> dict[str, Any]:
        """Return the types that the program defines, by name; a typedef is the type that it stands for.

        :param lookup: finds the types of other programs.
        """
        found: dict[str, Any] = {}
        typedefs: dict[str, ElementTree.Element] = {}
        for element in self._document:
            name = element.get("name", "")
            if element.tag == "enum":
                found[name] = {"enum": f"{self.package}.{name}"}
            elif element.tag in ("struct", "union", "exception"):
                found[name] = {"struct": f"{self.package}.{name}"}
            elif element.tag == "typedef":
                typedefs[name] = element

        def find(program: str, name: str) -> Any:
            if program != self._document.get("name") or (name not in found and name not in typedefs):
                return lookup(program, name)
            if name not in found:
                found[name] = _type(typedefs[name], find)
            return found[name]

        for name in typedefs:
            find(self._document.attrib["name"], name)
        return found

    def definitions(self, lookup: Lookup, service: Callable[[str, str], str]) -> dict[str, dict[str, Any]]:
        """Return the definitions of the program by section and key.

        The sections are ``structs``, ``enums``, ``constants`` and ``services``.

        :param lookup: finds every type, also those of the program.
        :param service: returns the key of a service, from the name of its program and its own.
        :raises CompileError: the XML has a type that is unknown, or lacks one.
        """
        sections: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
        for element in self._document:
            key = f"{self.package}.{element.get('name')}"
            if element.tag in ("struct", "union", "exception"):
                sections["structs"][key] = {
                    "kind": element.tag,
                    "doc": _doc(element),
                    "fields": list(_fields(element, "field", lookup)),
                    "annotations": _annotations(element),
                }
            elif element.tag == "enum":
                members = [
                    {"name": member.attrib["name"], "value": int(member.attrib["value"]), "doc": _doc(member)}
                    for member in element.findall("member")
                ]
                sections["enums"][key] = {"doc": _doc(element), "members": members}
            elif element.tag == "const":
                sections["constants"][key] = {"doc": _doc(element), "type": _type(element, lookup)}
            elif element.tag == "service":
                parent = element.get("parent-id")
                extends = None if parent is None else service(element.attrib["parent-module"], parent)
                sections["services"][key] = _service(element, extends, lookup)
        return sections


def _service(element: ElementTree.Element, extends: str | None, lookup: Lookup) -> dict[str, Any]:
    return {
        "doc": _doc(element),
        "extends": extends,
        "methods": [_method(method, lookup) for method in element.findall("method")],
        "annotations": _annotations(element),
    }


def _method(element: ElementTree.Element, lookup: Lookup) -> dict[str, Any]:
    returns = element.find("returns")
    if returns is None:
        raise CompileError(f"the Thrift compiler's XML has no return type for {element.get('name')}")
    return {
        "name": element.attrib["name"],
        "doc": _doc(element),
        "oneway": element.get("oneway") == "true",
        "arguments": list(_fields(element, "arg", lookup)),
        "returns": None if returns.get("type") == "void" else _type(returns, lookup),
        "throws": list(_fields(element, "throws", lookup)),
        "annotations": _annotations(element),
    }


def _fields(parent: ElementTree.Element, tag: str, lookup: Lookup) -> Iterator[dict[str, Any]]:
    for element in parent.findall(tag):
        yield {
            "id": int(element.attrib["field-id"]),
            "name": element.attrib["name"],
            "type": _type(element, lookup),
            "requiredness": element.get("required", "default"),
            "has_default": element.find("default") is not None,
            "doc": _doc(element),
        }


def _type(element: ElementTree.Element, lookup: Lookup) -> Any:
    """Return the type in an element's ``type`` attribute and children, typedefs resolved."""
    name = element.attrib["type"]
    if name == "id":
        return lookup(element.attrib["type-module"], element.attrib["type-id"])
    if name in ("list", "set"):
        return _bounded({name: _inner(element, "elemType", lookup)})
    if name == "map":
        return _bounded({"map": [_inner(element, "keyType", lookup), _inner(element, "valueType", lookup)]})
    if name == "byte":
        return "i8"
    if name not in idl.BASE_TYPES:
        raise CompileError(f"the Thrift compiler's XML names a type that is unknown here: {name}")
    return name


def _bounded(kind: dict[str, Any]) -> dict[str, Any]:
    """Return a type that is not too large. Typedefs of typedefs may double it with each line.

    :raises TypeTooLarge: it is nested too deeply, or has too many parts.
    """
    level: list[Any] = [kind]
    parts = depth = 0
    while level:
        parts, depth = parts + len(level), depth + 1
        if depth > DEEPEST or parts > LARGEST:
            raise TypeTooLarge
        contents = [next(iter(part.values())) for part in level if isinstance(part, dict)]
        level = [inner for found in contents for inner in (found if isinstance(found, list) else [found])]
    return kind


def _inner(element: ElementTree.Element, tag: str, lookup: Lookup) -> Any:
    inner = element.find(tag)
    if inner is None:
        raise CompileError(f"the Thrift compiler's XML has a {element.attrib['type']} without {tag}")
    return _type(inner, lookup)


def _doc(element: ElementTree.Element) -> str:
    return "\n".join(line.rstrip() for line in element.get("doc", "").strip().splitlines())


def _annotations(element: ElementTree.Element) -> dict[str, str]:
    return {found.attrib["key"]: found.get("value", "") for found in element.findall("annotation")}
