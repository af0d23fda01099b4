"""Words of a command line as values of Thrift."""

from __future__ import annotations

import json
from typing import Any

from rpc import idl
from rpc.cli.values import Values, describe
from rpc.errors import InvalidRequest
from tests.fuzz.everything import EVERYTHING, arguments

SERVICE: Any = idl.load(EVERYTHING)

TYPES = [field.type for method in SERVICE.methods.values() for field in method.arguments]

VALUES = Values(SERVICE.interface)


def one(data: bytes) -> None:
    """A word is a value of its type or an InvalidRequest that quotes little of it; its JSON is the same value."""
    kind = TYPES[data[0] % len(TYPES)] if data else TYPES[0]
    text = data[1:].decode("utf-8", "surrogateescape")
    try:
        value = VALUES.argument(kind, text, "word")
    except InvalidRequest as error:
        assert "word" in str(error), error
        assert len(str(error)) < 1500 + len(text), error
        return
    shown = json.dumps(VALUES.to_json(kind, value), ensure_ascii=False)
    again = VALUES.argument(kind, shown, "again")
    assert json.dumps(VALUES.to_json(kind, again), ensure_ascii=False) == shown, (describe(kind), shown)


def seeds() -> dict[str, bytes]:
    """Return words for many types."""
    texts = {}
    for name, struct in arguments().items():
        for number, field in enumerate(SERVICE.methods[name].arguments):
            place = TYPES.index(field.type)
            value = getattr(struct, idl.python_name(field.name))
            text = json.dumps(VALUES.to_json(field.type, value), ensure_ascii=False)
            texts[f"{name}-{number}"] = bytes((place,)) + text.encode()
    return texts
