"""The interface of the three protocols, and the reading that they share."""

from __future__ import annotations

from typing import Any, Protocol

from thrift.protocol.TProtocol import TProtocolBase

from rpc.envelope.limits import MAX_ELEMENTS, NAME_LIMIT
from rpc.errors import MalformedMessage
from rpc.generated_classes import is_immutable

REFUSE, REPLACE = "refuse", "replace"
"""The values of the option ``invalid_utf8``."""

Header = tuple[str, int, int, int]
"""The beginning of a Thrift message: name, ``TMessageType``, seqid, and the offset of the struct that follows."""

Message = tuple[bytes, Header]
"""The bytes of a Thrift message, and its beginning."""


class Codec(Protocol):
    """One Thrift protocol.

    :ivar content_type: the AMQP content type of its messages.
    """

    content_type: str

    def encode(self, name: str, kind: int, seqid: int, struct: Any) -> bytes:
        """Return the bytes of a whole message.

        :param struct: a generated struct, or a ``TApplicationException``.
        :raises Exception: a value does not fit its type, or bytes in a ``string`` are not UTF-8; Thrift raises errors
            of many classes.
        """

    def encode_header(self, name: str, kind: int, seqid: int) -> bytes:
        """Return the bytes before the struct of a message."""

    def read_header(self, body: bytes) -> Header:
        """Return the beginning of a message.

        :raises MalformedMessage: the bytes do not begin with a Thrift message, or the name is longer than
            ``NAME_LIMIT``.
        """

    def with_seqid(self, message: Message, seqid: int) -> bytes:
        """Return the bytes of a message with another seqid. They are not read."""

    def read_struct(
        self, body: bytes, start: int, struct_class: type, replace: bool = False, most: int = MAX_ELEMENTS
    ) -> Any:
        """Return the struct of a message.

        :param start: its offset, from :meth:`read_header`.
        :param replace: whether invalid UTF-8 in a ``string`` is replaced by U+FFFD instead of refused. In a field that
            the struct does not have, it is only noticed in JSON.
        :param most: elements of the message, at most; see ``element_costs.py``.
        :raises TooManyElements: the message has more. It was not decoded.
        :raises MalformedMessage: the bytes are not such a struct, or more bytes follow it.
        """


LONGEST_HEAD = 8 * NAME_LIMIT
"""Bytes before the struct of a message, at most: a character of the name may be six bytes in JSON."""


def check_name(length: int) -> None:
    """Refuse a method's name that is too long.

    :param length: its bytes.
    :raises MalformedMessage: there are more than ``NAME_LIMIT``.
    """
    if length > NAME_LIMIT:
        raise MalformedMessage(f"not a Thrift message: a name of {length} bytes; at most {NAME_LIMIT} are allowed")


def check_seqid(seqid: int) -> None:
    """Refuse a seqid that only some protocols can encode.

    :raises MalformedMessage: it is no i32.
    """
    if not -(2**31) <= seqid < 2**31:
        raise MalformedMessage(f"not a Thrift message: its seqid {seqid} is no i32")


def read_value(struct_class: type, protocol: TProtocolBase) -> Any:
    """Return a `struct_class`, read by its generated ``read``."""
    read = struct_class.read  # type: ignore[attr-defined]
    if is_immutable(struct_class):
        return read(protocol)
    value = struct_class()
    read(value, protocol)
    return value


def malformed(expected: str, error: Exception) -> MalformedMessage:
    """Return the error for bytes that Thrift cannot decode. Its text is cut: some errors quote the whole message."""
    text = str(error)[:200] or ("it ends too early" if isinstance(error, EOFError) else "no reason given")
    return MalformedMessage(f"not a {expected}: {type(error).__name__}: {text}")


def refuse_trailing(left: int) -> None:
    """Refuse bytes after the message.

    :param left: their number.
    :raises MalformedMessage: the number is not 0.
    """
    if left:
        raise MalformedMessage(f"{left} bytes follow the end of the message")
