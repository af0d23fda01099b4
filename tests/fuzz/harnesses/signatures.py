"""Signatures of messages."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rpc.amqp.codec.fields import decode_table, encode_field, encode_table
from rpc.amqp.codec.properties import HEADERS, encode_properties, split_properties
from rpc.errors import CodecError
from rpc.headers import SIGNATURE
from rpc.keys import Keys
from rpc.messages import Properties
from rpc.signing import Kind, SignatureError, sign, verify

Parts = Sequence[bytes | None]

NOW = 1_767_225_600.0
LIFETIME = 5000

_folder = tempfile.TemporaryDirectory(prefix="keys-")
_path = Path(_folder.name, "keys")
_path.write_text(f"mobile {bytes(range(32)).hex()}\n")
KEYS = Keys(_path, wall=lambda: NOW, clock=lambda: 0.0)

KINDS = tuple(Kind)


def one(data: bytes) -> None:
    """A message is signed or not signable; its signature holds in a copy, and for no other message, kind or service."""
    kind = KINDS[data[0] % len(KINDS)] if data else Kind.REQUEST
    size = int.from_bytes(data[1:3], "big")
    properties, body = data[3 : 3 + size], data[3 + size :]
    try:
        came = split_properties(properties)
        is_genuine = is_verified(kind, "Service", came, body)
        encoded, text = sign(KEYS, KEYS.signing, kind, "Service", properties, body, lifetime=LIFETIME)
    except CodecError:
        return
    if is_genuine:  # then it was signed by seeds()
        assert encode_field(text) in (came[HEADERS] or b"")
    signed = split_properties(encoded)
    assert is_verified(kind, "Service", signed, body)
    with suppress(CodecError):
        assert is_verified(kind, "Service", rewritten(signed), body)
    assert not is_verified(kind, "Service", signed, body + b"x")
    assert not is_verified(kind, "Other", signed, body)
    assert not any(is_verified(other, "Service", signed, body) for other in KINDS if other is not kind)


def is_verified(kind: Kind, service: str, parts: Parts, body: bytes) -> bool:
    """Return whether a message has a valid signature."""
    try:
        verify(KEYS, kind, service, parts, body)
    except SignatureError:
        return False
    return True


def rewritten(parts: Parts) -> Parts:
    """Return properties whose headers were decoded and encoded, as a broker or a worker does for a copy.

    :raises CodecError: a header that is not signed has a value that can only be decoded, such as NaN.
    """
    copied = [*parts]
    copied[HEADERS] = encode_table(decode_table(copied[HEADERS] or b"", 0)[0])
    return copied


def seeds() -> dict[str, bytes]:
    """Return messages of all kinds, with signatures and without."""
    plain = Properties(
        content_type="application/vnd.apache.thrift.binary",
        headers={"tenant": "acme", "rpc-attempt": 2, "big": 2**40, "yes": True, "raw": b"\x00"},
        correlation_id="call 1",
        reply_to="amq.gen-example",
        message_id="call 1",
    )
    found = {"none": b"\x00\x00\x02\x00\x00", "malformed": _seed(0, Properties(headers={SIGNATURE: "1 mobile 1 1 ff"}))}
    for number, kind in enumerate(KINDS):
        found[f"{kind.value.decode()}-unsigned"] = _seed(number, plain)
        encoded, _ = sign(KEYS, KEYS.signing, kind, "Service", encode_properties(plain), b"body", lifetime=LIFETIME)
        found[f"{kind.value.decode()}-signed"] = bytes((number,)) + len(encoded).to_bytes(2, "big") + encoded + b"body"
    return found


def _seed(number: int, properties: Properties) -> bytes:
    encoded = encode_properties(properties)
    return bytes((number,)) + len(encoded).to_bytes(2, "big") + encoded + b"body"
