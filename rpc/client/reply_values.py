"""Replies as values, for callers that want more than the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Reply(Generic[T]):
    """A reply with its metadata.

    :ivar value: the method's result.
    :ivar headers: the reply's metadata: its headers without those of this framework and of RabbitMQ.
    """

    value: T
    headers: Mapping[str, Any]


@attrs.frozen
class RawReply:
    """A reply to :meth:`rpc.Connection.call_raw`.

    :ivar message: one Thrift message, of type REPLY or EXCEPTION, with the seqid of the request; ``b""`` for a oneway
        request.
    :ivar headers: the reply's metadata: its headers without those of this framework and of RabbitMQ.
    """

    message: bytes
    headers: Mapping[str, Any]
