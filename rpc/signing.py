"""Signatures of messages: HMAC-SHA256 over what a message says, by a key that both ends have.

``docs/wire.md``, section "Signatures", has the format and a test vector. A signature must hold for copies: brokers and
workers republish requests, and write tables of headers anew. So it covers values, not encoded tables, and leaves out
what changes on the way: the expiration, and the headers that count deliveries.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from rpc.amqp.codec.fields import encode_field, encode_table, join_table, split_table
from rpc.amqp.codec.headers import split_headers
from rpc.amqp.codec.properties import (
    CONTENT_TYPE,
    CORRELATION_ID,
    HEADERS,
    MESSAGE_ID,
    REPLY_TO,
    join_properties,
    split_properties,
)
from rpc.errors import CodecError
from rpc.headers import (
    ATTEMPT,
    KEEPALIVE,
    LIVENESS,
    MAYBE_EXECUTED,
    OUTCOME,
    RESERVED,
    ROUTING,
    SIGNATURE,
)
from rpc.keys import Key, Keys

VERSION: Final = "1"

PROPERTIES: Final = (CONTENT_TYPE, CORRELATION_ID, MESSAGE_ID, REPLY_TO)
"""The properties that are signed. The others change on the way, or have no effect on the call."""

SIGNED_HEADERS: Final = frozenset((ATTEMPT, LIVENESS, KEEPALIVE, OUTCOME, MAYBE_EXECUTED))
"""The headers of this framework that are signed, beside all metadata. Workers write the others on the way."""

_UNSIGNED_NUMBERS = b"Bui"
_SIGNED_NUMBERS = b"bsIlL"

ONEWAY_LIFETIME: Final = 24 * 60 * 60 * 1000
"""Milliseconds in which a oneway request must begin. It has no deadline; without this it could be replayed for ever."""

NOTICE_LIFETIME: Final = 60 * 1000
"""Milliseconds in which a cancellation must arrive. Queues of workers hold requests back, but not for long."""

_LONGEST_NUMBER = 15
"""Digits: some 31,000 years in milliseconds."""


class Kind(enum.Enum):
    """What a message is. It is signed, so that no message can be taken for another kind."""

    REQUEST = b"request"
    REPLY = b"reply"
    KEEPALIVE = b"keepalive"
    CANCELLATION = b"cancellation"


class SignatureError(Exception):
    """A message has no valid signature. The text has the reason, and nothing secret."""


class NotSigned(SignatureError):
    """A message has no signature at all."""


@attrs.frozen
class Signed:
    """A message whose signature is valid.

    :ivar text: the header; another message that answers it is bound to it.
    :ivar mac: distinguishes it from all others that were signed.
    :ivar time: milliseconds since the epoch at which it was signed, by the clock of the signer.
    :ivar lifetime: milliseconds for which the signature holds.
    """

    keys: Keys = attrs.field(repr=False)
    key: Key
    service: str
    text: str
    mac: str
    time: int
    lifetime: int

    @property
    def until(self) -> int:
        """Milliseconds since the epoch, by the clock of the signer, after which the message is too old."""
        return self.time + self.lifetime


def sign(
    keys: Keys,
    key: Key,
    kind: Kind,
    service: str,
    properties: bytes,
    body: bytes,
    *,
    lifetime: int = 0,
    answers: str = "",
) -> tuple[bytes, str]:
    """Sign a message.

    :param service: its name, without an instance.
    :param properties: encoded, without a signature.
    :param lifetime: milliseconds for which the signature holds.
    :param answers: the signature of the request that this message answers.
    :return: the encoded properties with the signature among the headers, and the signature.
    :raises CodecError: a header cannot be signed.
    """
    parts = [*split_properties(properties)]
    headers = parts[HEADERS]
    fields = {} if headers is None else split_table(headers)
    head = f"{VERSION} {key.name} {keys.now()} {lifetime}"
    text = f"{head} {_mac(key, kind, head, service, answers, parts, fields, body)}"
    fields[SIGNATURE] = encode_field(text)
    parts[HEADERS] = join_table(fields)
    return join_properties(parts), text


def answer(request: Signed, kind: Kind, properties: bytes, body: bytes) -> bytes:
    """Return the encoded properties of a reply or keepalive, signed with the key of its request."""
    return sign(request.keys, request.key, kind, request.service, properties, body, answers=request.text)[0]


def verify(
    keys: Keys, kind: Kind, service: str, parts: Sequence[bytes | None], body: bytes, answers: Sequence[str] = ("",)
) -> Signed:
    """Return the signature of a message.

    :param parts: its properties, as ``split_properties`` returns them.
    :param answers: the signatures of the requests one of which it must answer.
    :raises NotSigned: it has no signature.
    :raises SignatureError: its signature is malformed, of a key that is not in the file, or not right.
    """
    headers = parts[HEADERS]
    try:
        fields = {} if headers is None else split_headers(headers)
    except CodecError as error:
        raise SignatureError(f"its headers cannot be read: {error}") from None
    encoded = fields.pop(SIGNATURE, None)
    if encoded is None:
        raise NotSigned("it is not signed")
    name, time, lifetime, text = _parse(encoded)
    key = keys.find(name)
    if key is None:
        raise SignatureError(f"it is signed with the key {name!r}, which is not among the keys here")
    head, _, mac = text.rpartition(" ")
    try:
        for answered in answers:
            if hmac.compare_digest(mac, _mac(key, kind, head, service, answered, parts, fields, body)):
                return Signed(keys, key, service, text, mac, time, lifetime)
    except CodecError as error:
        raise SignatureError(str(error)) from None
    raise SignatureError(
        f"its signature with the key {name!r} is not right: it was changed, or both ends have different secrets"
    )


def check_signable(headers: Mapping[str, Any]) -> None:
    """Check that headers can be signed.

    :raises CodecError: one cannot; the text names it.
    """
    _signed_headers(split_table(encode_table(headers)))


def _parse(encoded: bytes) -> tuple[str, int, int, str]:
    try:
        text = encoded[5:].decode("ascii") if encoded[:1] == b"S" else ""
    except UnicodeDecodeError:
        text = ""
    words = text.split(" ")
    if len(words) != 5 or not _is_number(words[2]) or not _is_number(words[3]) or len(words[4]) != 64:
        raise SignatureError("its signature is malformed")
    if words[0] != VERSION:
        raise SignatureError(f"its signature has the version {words[0][:20]!r}; {VERSION} is known here")
    return words[1], int(words[2]), int(words[3]), text


def _is_number(word: str) -> bool:
    return word.isdigit() and len(word) <= _LONGEST_NUMBER


def _mac(
    key: Key,
    kind: Kind,
    head: str,
    service: str,
    answers: str,
    parts: Sequence[bytes | None],
    fields: Mapping[str, bytes],
    body: bytes,
) -> str:
    """Return the MAC, in hexadecimal digits. Each value has its length before it, so none can take bytes of another."""
    values = [b"thrift-rpc", kind.value, head.encode(), service.encode(), answers.encode()]
    values += [(parts[place] or b" ")[1:] for place in PROPERTIES]
    values += [_signed_headers(fields)]
    prefix = b"".join(map(_counted, values)) + len(body).to_bytes(4, "big")
    mac = hmac.new(key.secret, prefix, "sha256")
    mac.update(body)
    return mac.hexdigest()


def _counted(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _signed_headers(fields: Mapping[str, bytes]) -> bytes:
    """Return names and values of the signed headers, by name: RabbitMQ 4 sorts a table, other peers do not."""
    signed = [
        (name.encode("utf-8", "surrogateescape"), _signed_value(name, encoded))
        for name, encoded in fields.items()
        if name in SIGNED_HEADERS or (name not in ROUTING and not name.startswith(RESERVED))
    ]
    return b"".join(_counted(name) + _counted(value) for name, value in sorted(signed))


def _signed_value(name: str, encoded: bytes) -> bytes:
    """Return a value in the form in which it is signed. Copies may have a number in another size."""
    kind = encoded[:1]
    if kind == b"x":
        return encoded[:1] + encoded[5:]
    if kind == b"S":
        text = encoded[5:]
        try:
            text.decode()
        except UnicodeDecodeError:
            raise CodecError(f"the header {name!r} cannot be signed: its text is not UTF-8") from None
        return kind + text
    if kind == b"t":
        return b"t1" if encoded[1] else b"t0"
    if kind in _SIGNED_NUMBERS or kind in _UNSIGNED_NUMBERS:
        return b"I%d" % int.from_bytes(encoded[1:], "big", signed=kind in _SIGNED_NUMBERS)
    raise CodecError(
        f"the header {name!r} cannot be signed: signed messages have headers of text, bytes, whole numbers and bools"
    )
