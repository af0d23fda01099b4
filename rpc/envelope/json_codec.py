"""Thrift's JSON protocol: ``[1,"<name>",<type>,<seqid>,<struct>]``."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rpc.envelope.codec import LONGEST_HEAD, Header, Message, check_name, check_seqid, malformed, refuse_trailing
from rpc.envelope.element_costs import message_cost
from rpc.envelope.json_reader import parser, struct_reader
from rpc.envelope.json_skim import JSONSkim, parsing_elements
from rpc.envelope.json_writer import quote, struct_writer
from rpc.envelope.limits import MAX_ELEMENTS
from rpc.errors import MalformedMessage, TooManyElements

_BEGIN: Final = '[1,"'

_NUMBERS: Final = re.compile(r",(-?[0-9]{1,10}),(-?[0-9]{1,10}),")
"""Type and seqid, and the comma before the struct."""

_SURROGATE: Final = re.compile(
    r"\\(?:"
    r"(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|.)",
    re.DOTALL,
)
"""An escape. Two surrogates make a character; half of a pair is no text (RFC 8259, section 8.2)."""


class JSONCodec:
    """Thrift's JSON, by Python's compiled ``json`` and the specifications of the structs.

    Thrift's own class writes text that is not JSON, for values that do not fit their types, and takes five times as
    long. It reads a string in quadratic time, and a number for ever where its input ends.
    """

    content_type = "application/vnd.apache.thrift.json"

    def encode(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        out = [f"[1,{quote(name)},{kind},{seqid},"]
        struct_writer(type(struct))(struct, out, 0)
        out.append("]")
        return "".join(out).encode()  # half of a surrogate pair does not encode

    def encode_header(self, name: str, kind: int, seqid: int) -> bytes:
        return f"[1,{quote(name)},{kind},{seqid},".encode()

    def read_header(self, body: bytes) -> Header:
        text = body[:LONGEST_HEAD].decode("utf-8", "surrogateescape")  # the struct may be no UTF-8, and is read later
        if not text.startswith(_BEGIN):
            raise MalformedMessage(f'not a Thrift message: it does not begin with {_BEGIN}<name>",<type>,<seqid>,')
        try:
            name, end = parser.raw_decode(text, len(_BEGIN) - 1)
            check_name(len(name.encode()))  # raises for invalid UTF-8, and for half of a surrogate pair
        except ValueError as error:
            raise malformed("Thrift message", error) from error
        numbers = _NUMBERS.match(text, end)
        if numbers is None:
            raise MalformedMessage("not a Thrift message: no type and seqid follow its name")
        kind, seqid = int(numbers[1]), int(numbers[2])
        check_seqid(seqid)
        return name, kind, seqid, len(text[: numbers.end()].encode("utf-8", "surrogateescape"))

    def with_seqid(self, message: Message, seqid: int) -> bytes:
        body, (name, kind, _, start) = message
        return self.encode_header(name, kind, seqid) + body[start:]

    def read_struct(
        self, body: bytes, start: int, struct_class: type, replace: bool = False, most: int = MAX_ELEMENTS
    ) -> Any:
        read = struct_reader(struct_class)
        skim = None
        cost = message_cost(struct_class, in_python=False)
        if len(body) * cost.per_byte > most:
            left = most - parsing_elements(body, most)
            if left < 0:
                raise TooManyElements(most)
            skim = JSONSkim(cost, most, left)
        try:
            with _paused_collection():
                parsed = _parsed(body, start, replace)
                if skim is not None:
                    skim.check(parsed)
                return read(parsed, 0)
        except MalformedMessage:
            raise
        except Exception as error:
            raise malformed(struct_class.__name__, error) from error


def _parsed(body: bytes, start: int, replace: bool) -> Any:
    """Parse the struct of a message. Its text is not kept, so that it is not in memory beside the value."""
    text = _text(memoryview(body)[start:], replace)
    parsed, end = parser.raw_decode(text)
    if text[end : end + 1] != "]":
        raise ValueError("no ] follows it")
    refuse_trailing(len(text) - end - 1)
    return parsed


@contextmanager
def _paused_collection() -> Iterator[None]:
    """Pause Python's garbage collector: it would visit the lists of a large message again and again, and no list can be
    in a cycle. 660,000 empty lists take five times as long with it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _text(body: memoryview, replace: bool = False) -> str:
    """Return UTF-8 as text.

    :param replace: replace invalid UTF-8, and half surrogate pairs in escapes, by U+FFFD.
    :raises ValueError: there are some, and they are not to be replaced.
    """
    text = str(body, "utf-8", "replace" if replace else "strict")
    if "\\ud" in text or "\\uD" in text:
        return _SURROGATE.sub(_replace_half if replace else _refuse_half, text)
    return text


def _replace_half(escape: re.Match[str]) -> str:
    return "\ufffd" if escape["half"] else escape[0]


def _refuse_half(escape: re.Match[str]) -> str:
    if escape["half"]:
        raise ValueError(f"{escape[0]} is half of a surrogate pair")
    return escape[0]
