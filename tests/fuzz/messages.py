"""The promises about a Thrift message in each protocol."""

from __future__ import annotations

from typing import Any

from thrift.protocol.TProtocol import TProtocolException
from thrift.Thrift import TMessageType

from rpc.envelope import CODECS, Codec, differences
from rpc.errors import MalformedMessage, TooManyElements
from tests.fuzz.everything import METHODS, arguments

FEW_ELEMENTS = 40


def read(codec: Codec, data: bytes, start: int, struct_class: type) -> Any:
    """Return a struct that is read with and without a low limit of elements."""
    value = codec.read_struct(data, start, struct_class)
    try:
        limited = codec.read_struct(data, start, struct_class, most=FEW_ELEMENTS)
    except TooManyElements:
        return value
    assert is_same(limited, value)
    return value


def is_same(one: Any, other: Any) -> bool:
    """Return whether two structs are equal; any NaN equals any other."""
    return bool(one == other) or bool(plain(one) == plain(other))


def plain(value: Any) -> Any:
    """Return a value in a form in which NaN equals itself."""
    if hasattr(value, "thrift_spec"):
        return type(value), sorted((name, plain(item)) for name, item in vars(value).items() if item is not None)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return sorted(((plain(key), plain(item)) for key, item in value.items()), key=repr)
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value), key=repr)
    return [*map(plain, value)] if isinstance(value, list | tuple) else value


def encoded(protocol: str, struct: Any, name: str = "all", seqid: int = 1) -> bytes:
    """Return a call with these arguments."""
    return CODECS[protocol].encode(name, TMessageType.CALL, seqid, struct)


def check_message(protocol: str, data: bytes) -> None:
    """Check the promise of ``binary.py``, ``compact.py`` and ``json_protocol.py``."""
    codec = CODECS[protocol]
    try:
        name, _, seqid, start = codec.read_header(data)
    except MalformedMessage:
        return
    method = METHODS.get(name, METHODS["all"])
    try:
        value = read(codec, data, start, method.arguments_class)
        if method.check_arguments is not None:
            method.check_arguments(value)
    except (MalformedMessage, TProtocolException):
        assert isinstance(differences(data, codec.content_type, start, method.arguments_class, "the caller"), str)
        return
    for other in CODECS:
        if other == "json" and name == "keyed":
            continue  # JSON has no form for structs as keys
        again = encoded(other, value, name, seqid)
        *head, start = CODECS[other].read_header(again)
        assert head == [name, TMessageType.CALL, seqid]
        assert is_same(read(CODECS[other], again, start, method.arguments_class), value)


def messages(protocol: str) -> dict[str, bytes]:
    """Return a call of each method that :func:`~tests.fuzz.everything.arguments` has."""
    return {name: encoded(protocol, struct, name, -7) for name, struct in arguments().items()}
