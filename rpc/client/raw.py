"""Calls without a stub: a Thrift message goes out as it is, and its reply comes back as bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from thrift.Thrift import TMessageType
from twisted.internet.defer import Deferred

from rpc.client.operation import CallObserver, Operation
from rpc.client.options import DEFAULT_TIMEOUT, ClientOptions
from rpc.client.reply_values import RawReply
from rpc.client.stub_operation import check_reply_header
from rpc.envelope import CODECS, Codec, Header, Message, read_application_exception
from rpc.errors import InvalidReply, InvalidRequest, MalformedMessage

MOST_OPERATIONS: Final = 1000
"""Operations that a client keeps. Their names come from messages, so a peer could make up any number."""


class RawOperation(Operation):
    """One method of a client without a stub. The arguments of a call are a message, and the offset of its struct.

    The seqid in the message is replaced by the call's own, because a reply without a correlation id is found by its
    seqid.
    """

    def encode(self, seqid: int, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bytes:
        message, start = arguments
        if len(message) > self.options.max_message_size:
            raise self.too_large(len(message))
        kind = TMessageType.ONEWAY if self.oneway else TMessageType.CALL
        encoded: bytes = self.codec.encode_header(self.name, kind, seqid) + message[start:]
        return encoded

    def decode(self, seqid: int, body: bytes) -> tuple[Any, Exception | None]:
        """Return the reply's message with its header, which has the seqid of the call, and ``None``."""
        try:
            header = name, kind, answered, _ = self.codec.read_header(body)
            if answered != seqid or kind != TMessageType.REPLY or name != self.name:
                check_reply_header(kind, answered, seqid)
                if kind == TMessageType.REPLY:
                    raise MalformedMessage(f"the answer of {name[:80]!r}")
        except MalformedMessage as error:
            raise InvalidReply(f"{self.label}: the reply is {error}") from error
        return (body, header), None

    def refusal_text(self, seqid: int, body: bytes) -> str:
        self.decode(seqid, body)
        try:
            _, _, _, start = self.codec.read_header(body)
            return str(read_application_exception(self.codec, body, start, most=self.options.max_elements))
        except MalformedMessage as error:
            raise InvalidReply(f"{self.label}: the reply is {error}") from error


class RawClient:
    """Sends Thrift messages to one service, all with the same options: see :meth:`rpc.Connection.raw_client`."""

    def __init__(
        self, call: Callable[..., Deferred[Any]], options: ClientOptions, observer: CallObserver | None = None
    ) -> None:
        """
        :param call: :meth:`rpc.client.caller.Caller.call`, or the same with interceptors.
        :param observer: of the calls.
        """
        self._call = call
        self._observer = observer
        self._options = options
        self._codec: Codec = CODECS[options.protocol]
        self._operations: dict[tuple[str, int], RawOperation] = {}

    def __repr__(self) -> str:
        return f"<raw client of {self._options.name}>"

    def call(self, message: bytes) -> Deferred[bytes]:
        """Send a message.

        :param message: one message of type CALL or ONEWAY. Any seqid will do: the reply has the same.
        :return: fires with the reply's message, which may be of type EXCEPTION. Fires with ``b""`` for a ONEWAY
            message, when the broker has confirmed it. Fails with any :class:`~rpc.errors.RPCError`.
        :raises InvalidRequest: `message` is no CALL or ONEWAY message of the client's protocol.
        """
        header = read_request(self._codec, self._options.name or "", message)
        return self.send(header, message).addCallback(_message_of, self._codec, header[2])

    def send(self, header: Header, message: bytes, timeout: float | None = None) -> Deferred[Message | None]:
        """Send a message whose beginning has been read; see :meth:`call`.

        :param header: of type CALL or ONEWAY. Its name is sent, also when `message` has another.
        :param timeout: seconds, when it is less than the client's.
        :return: fires with the reply, whose seqid is any; with ``None`` for a ONEWAY message.
        """
        name, kind, _, start = header
        operation = self._operations.get((name, kind))
        if operation is None:
            operation = self._new_operation(name, kind)
        if timeout is not None and timeout < operation.timeout:
            operation = attrs.evolve(operation, timeout=timeout)
        return self._call(operation, message, start)

    def _new_operation(self, name: str, kind: int) -> RawOperation:
        if len(self._operations) >= MOST_OPERATIONS:
            self._operations.clear()
        operation = self._operations[name, kind] = raw_operation(name, kind, self._options, self._observer)
        return operation


def _message_of(reply: Message | None, codec: Codec, seqid: int) -> bytes:
    """Return a reply with the seqid that its request had; ``b""``: there is none, for a ONEWAY message."""
    return b"" if reply is None else codec.with_seqid(reply, seqid)


def call_raw(
    call: Callable[..., Deferred[Any]], options: ClientOptions, observer: CallObserver | None, message: bytes
) -> Deferred[RawReply]:
    """Send one message to the service ``options.name``; see :meth:`rpc.Connection.call_raw`.

    :raises InvalidRequest: the message does not begin like a Thrift message of the options' protocol, of type CALL or
        ONEWAY.
    """
    codec = CODECS[options.protocol]
    name, kind, seqid, start = read_request(codec, options.name or "", message)

    def make_reply(reply: Message | None, headers: Mapping[str, Any]) -> RawReply:
        return RawReply(_message_of(reply, codec, seqid), headers)

    return call(raw_operation(name, kind, options, observer, make_reply), message, start)


def read_request(codec: Codec, service: str, message: bytes) -> Header:
    """Return the beginning of a request.

    :param service: for the error.
    :raises InvalidRequest: it is no message of type CALL or ONEWAY.
    """
    try:
        header = codec.read_header(message)
    except MalformedMessage as error:
        raise InvalidRequest(f"{service}: the message is {error}") from error
    if header[1] not in (TMessageType.CALL, TMessageType.ONEWAY):
        raise InvalidRequest(f"{service}: the message is of Thrift's message type {header[1]}, not a CALL or ONEWAY")
    return header


def raw_operation(
    name: str,
    kind: int,
    options: ClientOptions,
    observer: CallObserver | None,
    make_reply: Callable[[Any, Mapping[str, Any]], Any] | None = None,
) -> RawOperation:
    """Return the operation for messages of a type and name to the service ``options.name``."""
    return RawOperation(
        name=name,
        oneway=kind == TMessageType.ONEWAY,
        options=options,
        service=options.name or "",
        timeout=options.timeout or DEFAULT_TIMEOUT,
        idempotent=name in (options.idempotent or ()),
        make_reply=make_reply,
        observer=observer,
    )
