"""Turns the compiler's XML into the content of ``idl.json``, typedefs resolved; :func:`rpc.idl.parse` reads it.

A key is the Python package below the output's root, a dot and the name: it does not depend on the place of the output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.etree import ElementTree

from rpc import idl
from rpc.errors import CompileError

_TAG: Final = re.compile(r'"[^"]*"')
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_SECTIONS: Final = ("structs", "enums", "constants", "services")


class Programs:
    """The programs (files) of one XML output.

    :param xml: the output of ``xml:merge``.
    :param packages: the Python package of each program in it, by the program's name.
    :raises CompileError: the text is not XML.
    """

    def __init__(self, xml: str, packages: Mapping[str, str]) -> None:
        # The compiler does not escape line breaks in attributes, which an XML parser replaces by blanks (XML 1.0,
        # section 3.3.3). Nor does it escape the control characters of string constants, which are no characters of XML
        # (section 2.2). The values of constants are not needed here.
        text = _FORBIDDEN.sub("\ufffd", _TAG.sub(lambda found: found[0].replace("\n", "&#10;"), xml))
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise CompileError(f"the Thrift compiler wrote XML that cannot be read: {error}") from error
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        self._packages = packages
        self._programs = {element.attrib["name"]: element for element in root.iter("document")}
        self._definitions = {
            (program, element.attrib["name"]): element
            for program, document in self._programs.items()
            for element in document
            if "name" in element.attrib and element.tag in ("typedef", "enum", "struct", "union", "exception")
        }

    def definitions(self, program: str) -> dict[str, dict[str, Any]]:
        """Return the definitions of one program by section and key.

        The sections are ``structs``, ``enums``, ``constants`` and ``services``.

        :raises CompileError: the XML has a type that is unknown, or lacks one.
        """
        sections: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
        package = self._packages[program]
        for element in self._programs[program]:
            key = f"{package}.{element.get('name')}"
            if element.tag in ("struct", "union", "exception"):
                sections["structs"][key] = {
                    "kind": element.tag,
                    "doc": _doc(element),
                    "fields": list(self._fields(element, "field")),
                    "annotations": _annotations(element),
                }
            elif element.tag == "enum":
                members = [
                    {"name": member.attrib["name"], "value": int(member.attrib["value"]), "doc": _doc(member)}
                    for member in element.findall("member")
                ]
                sections["enums"][key] = {"doc": _doc(element), "members": members}
            elif element.tag == "const":
                sections["constants"][key] = {"doc": _doc(element), "type": self._type(element)}
            elif element.tag == "service":
                sections["services"][key] = self._service(element)
        return sections

    def _service(self, element: ElementTree.Element) -> dict[str, Any]:
        parent = element.get("parent-id")
        return {
            "doc": _doc(element),
            "extends": None if parent is None else f"{self._packages[element.attrib['parent-module']]}.{parent}",
            "methods": [self._method(method) for method in element.findall("method")],
            "annotations": _annotations(element),
        }

    def _method(self, element: ElementTree.Element) -> dict[str, Any]:
        returns = element.find("returns")
        if returns is None:
            raise CompileError(f"the Thrift compiler's XML has no return type for {element.get('name')}")
        return {
            "name": element.attrib["name"],
            "doc": _doc(element),
            "oneway": element.get("oneway") == "true",
            "arguments": list(self._fields(element, "arg")),
            "returns": None if returns.get("type") == "void" else self._type(returns),
            "throws": list(self._fields(element, "throws")),
            "annotations": _annotations(element),
        }

    def _fields(self, parent: ElementTree.Element, tag: str) -> Iterator[dict[str, Any]]:
        for element in parent.findall(tag):
            yield {
                "id": int(element.attrib["field-id"]),
                "name": element.attrib["name"],
                "type": self._type(element),
                "requiredness": element.get("required", "default"),
                "has_default": element.find("default") is not None,
                "doc": _doc(element),
            }

    def _type(self, element: ElementTree.Element) -> Any:
        """Return the type in an element's ``type`` attribute and children, typedefs resolved."""
        name = element.attrib["type"]
        if name == "id":
            program, identifier = element.attrib["type-module"], element.attrib["type-id"]
            definition = self._definitions[program, identifier]
            if definition.tag == "typedef":
                return self._type(definition)
            kind = "enum" if definition.tag == "enum" else "struct"
            return {kind: f"{self._packages[program]}.{identifier}"}
        if name in ("list", "set"):
            return {name: self._inner(element, "elemType")}
        if name == "map":
            return {"map": [self._inner(element, "keyType"), self._inner(element, "valueType")]}
        if name == "byte":
            return "i8"
        if name not in idl.BASE_TYPES:
            raise CompileError(f"the Thrift compiler's XML names a type that is unknown here: {name}")
        return name

    def _inner(self, element: ElementTree.Element, tag: str) -> Any:
        inner = element.find(tag)
        if inner is None:
            raise CompileError(f"the Thrift compiler's XML has a {element.attrib['type']} without {tag}")
        return self._type(inner)


def _doc(element: ElementTree.Element) -> str:
    return "\n".join(line.rstrip() for line in element.get("doc", "").strip().splitlines())


def _annotations(element: ElementTree.Element) -> dict[str, str]:
    return {found.attrib["key"]: found.get("value", "") for found in element.findall("annotation")}
