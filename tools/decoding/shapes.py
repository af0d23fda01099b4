"""Shapes of messages that cost much more than their bytes. Each one is made as large as it is asked to be."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack
from typing import Final
from uuid import UUID

from thrift.Thrift import TType

from tools.decoding.keys import probing_numbers, uuids_of_one_hash
from tools.decoding.wire import WIRES, Wire, json_messages, messages

IDL: Final = (
    """
struct Empty {}
struct Point { 1: i32 x, 2: i32 y }
struct Wide { """
    + " ".join(f"{number}: optional i32 f{number}" for number in range(1, 51))
    + """ }
struct Tree { 1: list<Tree> branches }
struct Leaf { 1: i32 number, 2: set<Leaf> leaves }
struct Mixed { 1: string text, 2: binary data, 3: i32 number }
service Shapes {
  list<list<Empty>> empties(1: list<list<Empty>> value), list<Wide> wides(1: list<Wide> value),
  list<Point> points(1: list<Point> value), Tree tree(1: Tree value), set<i64> numbers(1: set<i64> value),
  map<i64, i64> pairs(1: map<i64, i64> value), set<Point> pointset(1: set<Point> value),
  set<list<i64>> lists(1: set<list<i64>> value), set<set<i64>> sets(1: set<set<i64>> value), Leaf leaf(1: Leaf value),
  list<bool> flags(1: list<bool> value), list<i64> longs(1: list<i64> value), list<string> texts(1: list<string> value),
  list<list<i32>> nested(1: list<list<i32>> value), list<map<i32, i32>> maps(1: list<map<i32, i32>> value),
  Mixed mixed(1: Mixed value), string text(1: string value), binary data(1: binary value),
  list<double> reals(1: list<double> value), i32 number(1: i32 value),
  list<i64> uuids(1: list<i64> value), set<i64> uuidset(1: set<i64> value),
  map<i64, i64> uuidmap(1: map<i64, i64> value),
}
"""
)

OF_UUIDS: Final = ("uuids", "uuidset", "uuidmap")
"""Methods whose elements and keys are UUIDs instead (:mod:`tools.decoding.ends`)."""

MOST: Final = 1_000_000
"""Elements of one container, at most."""

Made = dict[str, bytes]
"""The message by the end that gets it: ``worker`` and ``client``."""

Make = Callable[[int], Made]
"""Makes a shape of at most this number of bytes."""


def _repeated(element: bytes, size: int, most: int = MOST) -> tuple[int, bytes]:
    count = min(most, size // len(element))
    return count, element * count


def _containers(wire: Wire, inner: int, size: int) -> bytes:
    """Return lists of a million elements of one byte each, in one list."""
    count = max(1, min(MOST, size - 64))
    one = wire.sequence(inner, count, b"\0" * count)
    times = max(1, size // (len(one) + 8))
    return wire.sequence(TType.LIST, times, one * times)


def _of_wire(wire: Wire) -> dict[str, Make]:
    """Return the shapes that binary and compact have in common."""

    def shape(method: str, ttype: int, value: Callable[[int], bytes]) -> Make:
        def make(size: int) -> Made:
            made = value(size - 64)
            return messages(wire, method, lambda number: wire.field(ttype, number, made))

        return make

    def listed(method: str, ttype: int, element: bytes, container: int = TType.LIST) -> Make:
        return shape(method, container, lambda size: wire.sequence(ttype, *_repeated(element, size)))

    def unknown(value: Callable[[int], bytes], ttype: int) -> Make:
        return lambda size: messages(wire, "number", lambda _: wire.field(ttype, 9, value(size - 64)))

    def field_repeated(size: int) -> Made:
        one = wire.sequence(TType.STRUCT, *_repeated(b"\0", min(size // 2, MOST)))
        times = max(1, size // (len(one) + 3))
        return messages(wire, "wides", lambda number: wire.field(TType.LIST, number, one) * times)

    def short_field_repeated(size: int) -> Made:
        one = wire.sequence(TType.STRUCT, 100, b"\0" * 100)
        times = max(1, size // (len(one) + 3))
        return messages(wire, "wides", lambda number: wire.field(TType.LIST, number, one) * times)

    def probing(method: str, ttype: int) -> Make:
        def make(size: int) -> Made:
            # Beyond this the numbers take too long to find, and the quadratic time is shown.
            count = min(40_000, size // (18 if ttype == TType.MAP else 9))
            numbers = [wire.i64(number) for number in probing_numbers(count)]
            if ttype == TType.MAP:
                pairs = b"".join(number + wire.i64(0) for number in numbers)
                value = wire.map(TType.I64, TType.I64, count, pairs)
            else:
                value = wire.sequence(TType.I64, count, b"".join(numbers))
            return messages(wire, method, lambda number: wire.field(ttype, number, value))

        return make

    def uuids(size: int) -> tuple[int, list[bytes]]:
        found = uuids_of_one_hash(min(MOST, size // 16))
        return len(found), [number.bytes for number in found]

    def set_of_uuids(size: int) -> bytes:
        count, found = uuids(size)
        return wire.sequence(TType.UUID, count, b"".join(found))

    def map_of_uuids(size: int) -> bytes:
        count, found = uuids(size * 2 // 3)
        return wire.map(TType.UUID, TType.I64, count, b"".join(number + wire.i64(0) for number in found))

    def set_of_lists(size: int) -> bytes:
        count = min(MOST, size // 16)
        elements = (wire.sequence(TType.I64, 1, wire.i64(number)) for number in range(count))
        return wire.sequence(TType.LIST, count, b"".join(elements))

    def set_of_sets(size: int) -> bytes:
        count = min(MOST, size // 16)
        elements = (wire.sequence(TType.I64, 1, wire.i64(number)) for number in range(count))
        return wire.sequence(TType.SET, count, b"".join(elements))

    def set_of_points(size: int) -> bytes:
        count = min(MOST, size // 8)
        elements = (wire.field(TType.I32, 1, wire.i32(number)) + b"\0" for number in range(count))
        return wire.sequence(TType.STRUCT, count, b"".join(elements))

    def leaves(size: int) -> bytes:
        """Sets in one another, all of whose elements are hashed again in each."""
        count = max(1, min(MOST, size // 9 - 60))
        inner = wire.sequence(
            TType.STRUCT,
            count,
            b"".join(wire.field(TType.I32, 1, wire.i32(number)) + b"\0" for number in range(count)),
        )
        for _ in range(58):
            inner = wire.sequence(TType.STRUCT, 1, wire.field(TType.SET, 2, inner) + b"\0")
        return wire.field(TType.SET, 2, inner) + b"\0"

    def tree(size: int) -> bytes:
        inner = wire.sequence(TType.STRUCT, *_repeated(b"\0", max(1, size - 600)))
        for _ in range(58):
            inner = wire.sequence(TType.STRUCT, 1, wire.field(TType.LIST, 1, inner) + b"\0")
        return wire.field(TType.LIST, 1, inner) + b"\0"

    def wide_text(size: int) -> bytes:
        return wire.text("😀".encode() + b"a" * (size - 4))

    empty_list, empty_map = wire.sequence(TType.I32, 0, b""), wire.map(TType.I32, TType.I32, 0, b"")
    point = wire.field(TType.I32, 1, wire.i32(1)) + wire.field(TType.I32, 2, wire.i32(2)) + b"\0"
    nested = wire.sequence(TType.LIST, 1, b"")
    return {
        "list<list<empty struct>>": shape("empties", TType.LIST, lambda size: _containers(wire, TType.STRUCT, size)),
        "list<struct of 50 fields>, all empty": listed("wides", TType.STRUCT, b"\0"),
        "list<struct of 2 fields>": listed("points", TType.STRUCT, point),
        "a field of a long list, repeated": field_repeated,
        "a field of a short list, repeated": short_field_repeated,
        "structs 60 deep": shape("tree", TType.STRUCT, tree),
        "list<list<i32>>, all empty": listed("nested", TType.LIST, empty_list),
        "list<map<i32, i32>>, all empty": listed("maps", TType.MAP, empty_map),
        "list<string>, all empty": listed("texts", TType.STRING, wire.text(b"")),
        "list<string> of one character beyond ASCII": listed("texts", TType.STRING, wire.text("é".encode())),
        "list<string> with U+FFFD": listed("texts", TType.STRING, wire.text("\ufffd".encode())),
        "list<i64>": listed("longs", TType.I64, wire.i64(2**40)),
        "list<double>": listed("reals", TType.DOUBLE, pack("!d", 1.5)),
        "list<bool>": listed("flags", TType.BOOL, b"\1"),
        "a string with one emoji": shape("text", TType.STRING, wide_text),
        "a string of ASCII": shape("text", TType.STRING, lambda size: wire.text(b"a" * size)),
        "a binary": shape("data", TType.STRING, lambda size: wire.text(b"\xff" * size)),
        "set<i64> in long searches": probing("numbers", TType.SET),
        "map<i64, i64> in long searches": probing("pairs", TType.MAP),
        "list<uuid>": listed("uuids", TType.UUID, UUID(int=2**127).bytes),
        "set<uuid> of one hash": shape("uuidset", TType.SET, set_of_uuids),
        "map<uuid, i64> of one hash": shape("uuidmap", TType.MAP, map_of_uuids),
        "set<struct>": shape("pointset", TType.SET, set_of_points),
        "set<list<i64>>": shape("lists", TType.SET, set_of_lists),
        "set<set<i64>>": shape("sets", TType.SET, set_of_sets),
        "sets of structs, 60 deep": shape("leaf", TType.STRUCT, leaves),
        "an unknown list of empty structs": unknown(lambda size: _containers(wire, TType.STRUCT, size), TType.LIST),
        "an unknown list of empty strings": unknown(
            lambda size: wire.sequence(TType.STRING, *_repeated(wire.text(b""), size)), TType.LIST
        ),
        "unknown lists, each in the one before": unknown(lambda size: nested * (size // len(nested)), TType.LIST),
        "many unknown fields": lambda size: messages(
            wire, "number", lambda _: _repeated(wire.field(TType.BYTE, 9, b"\0"), size - 64, size)[1]
        ),
        "a method's name": lambda size: messages(wire, "é" * (size // 2 - 64), lambda _: b""),
    }


def _of_json() -> dict[str, Make]:
    def shape(method: str, tag: str, value: Callable[[int], str]) -> Make:
        def make(size: int) -> Made:
            made = value(size - 64)
            return json_messages(method, lambda number: f'"{number}":{{"{tag}":{made}}}')

        return make

    def unknown(value: Callable[[int], str]) -> Make:
        return lambda size: json_messages("number", lambda _: f'"9":{{"lst":{value(size - 64)}}}')

    def listed(tag: str, element: str, size: int, most: int = MOST) -> str:
        count = max(1, min(most, (size - 32) // (len(element) + 1)))
        return f'["{tag}",{count},{",".join([element] * count)}]'

    def elements(method: str, tag: str, element: str) -> Make:
        return shape(method, "lst", lambda size: listed(tag, element, size))

    def numbers(method: str, digits: str) -> Make:
        return shape(method, "lst", lambda size: listed("dbl", digits, size))

    def fields(size: int) -> Made:
        one = '"9":{"i8":1},'
        return json_messages("number", lambda number: one * ((size - 128) // len(one)) + '"9":{"i8":1}')

    def pairs(size: int) -> str:
        found = ",".join(f'"{number}":1' for number in probing_numbers(min(40_000, size // 24)))
        return f'["i64","i64",{found.count(",") + 1},{{{found}}}]'

    def set_of_numbers(size: int) -> str:
        found = probing_numbers(min(40_000, size // 9))
        return f'["i64",{len(found)},{",".join(map(str, found))}]'

    def set_of_uuids(size: int) -> str:
        found = uuids_of_one_hash(size // 40)
        return f'["uid",{len(found)},' + ",".join(f'"{number}"' for number in found) + "]"

    def map_of_uuids(size: int) -> str:
        found = uuids_of_one_hash(size // 42)
        return f'["uid","i64",{len(found)},{{' + ",".join(f'"{number}":0' for number in found) + "}]"

    def points(size: int) -> str:
        count = min(MOST, size // 26)
        return f'["rec",{count},' + ",".join(f'{{"1":{{"i32":{number}}}}}' for number in range(count)) + "]"

    def lists(size: int) -> str:
        count = min(MOST, size // 24)
        return f'["lst",{count},' + ",".join(f'["i64",1,{number}]' for number in range(count)) + "]"

    def deep(size: int) -> str:
        inner = listed("rec", "{}", size - 4096)
        for _ in range(58):
            inner = f'["rec",1,{{"1":{{"lst":{inner}}}}}]'
        return f'{{"1":{{"lst":{inner}}}}}'

    def surrogates(size: int) -> str:
        return '"' + "\\ud83d\\ude00" * (size // 12) + '"'

    return {
        "list<struct>, all empty": elements("points", "rec", "{}"),
        "list<struct of 50 fields>, all empty": elements("wides", "rec", "{}"),
        "list<struct of 2 fields>": elements("points", "rec", '{"1":{"i32":1},"2":{"i32":2}}'),
        "list<list<i32>>, all empty": elements("nested", "lst", '["i32",0]'),
        "list<string>, all empty": elements("texts", "str", '""'),
        "list<bool>": elements("flags", "tf", "1"),
        "list<i64>": elements("longs", "i64", str(2**40)),
        "list<double> of 3 digits": numbers("reals", "1.5"),
        "whole numbers of 999 digits": numbers("reals", "1" * 300 + "0" * 699),
        "fractions of 999 digits": numbers("reals", "0." + "3" * 997),
        "one fraction of all bytes": shape("reals", "lst", lambda size: f'["dbl",1,0.{"3" * (size - 64)}]'),
        "a string of backslashes": shape("text", "str", lambda size: '"' + "\\\\" * (size // 2) + '"'),
        "a string of \\u escapes": shape("text", "str", lambda size: '"' + "\\u00e9" * (size // 6) + '"'),
        "a string of surrogate pairs": shape("text", "str", surrogates),
        "a string with one emoji": shape("text", "str", lambda size: '"😀' + "a" * (size - 8) + '"'),
        "a binary": shape("data", "str", lambda size: '"' + "AAAA" * (size // 4) + '"'),
        "list<uuid>": elements("uuids", "uid", f'"{UUID(int=2**127)}"'),
        "set<i64> in long searches": shape("numbers", "set", set_of_numbers),
        "map<i64, i64> in long searches": shape("pairs", "map", pairs),
        "set<uuid> of one hash": shape("uuidset", "set", set_of_uuids),
        "map<uuid, i64> of one hash": shape("uuidmap", "map", map_of_uuids),
        "set<struct>": shape("pointset", "set", points),
        "set<list<i64>>": shape("lists", "set", lists),
        "structs 60 deep": shape("tree", "rec", deep),
        "an unknown list of empty lists": unknown(lambda size: listed("lst", "[]", size, size)),
        "unknown lists, each in the one before": unknown(lambda size: "[" * (size // 2) + "]" * (size // 2)),
        "an unknown list of empty objects": unknown(lambda size: listed("rec", "{}", size, size)),
        "many unknown fields": fields,
        "a method's name": lambda size: json_messages("é" * (size // 2 - 64), lambda _: ""),
        "a struct that is not UTF-8": lambda size: {
            end: body[:-2] + b"\xff" * (size - 64) + body[-2:]
            for end, body in json_messages("number", lambda _: "").items()
        },
    }


SHAPES: Final[dict[tuple[str, str], Make]] = {
    **{(wire.name, name): make for wire in WIRES for name, make in _of_wire(wire).items()},
    **{("json", name): make for name, make in _of_json().items()},
}
"""The makers of the shapes, by protocol and name."""
