"""Contents: deliveries and returns, with a body. The parts that few readers need are decoded when they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc.amqp.codec.fields import decode_short_string
from rpc.amqp.codec.frame_reader import CutBody
from rpc.amqp.codec.properties import decode_properties
from rpc.messages import Properties

if TYPE_CHECKING:
    from rpc.amqp.channel import Channel


def size_of(body: bytes) -> int:
    """Return the bytes of a body as it was sent."""
    return body.size if isinstance(body, CutBody) else len(body)


class Content:
    """A message as it came: encoded properties and body."""

    # cached_property takes a lock on Python 3.10 and 3.11, on the path of every call
    __slots__ = ("_properties", "body", "encoded_properties", "routing")

    def __init__(self, routing: bytes, encoded_properties: bytes, body: bytes) -> None:
        self.routing = routing
        self.encoded_properties = encoded_properties
        self.body = body
        self._properties: Properties | None = None

    @property
    def properties(self) -> Properties:
        """The message's properties.

        :raises CodecError: they are malformed. RabbitMQ does not check the inside of header tables.
        """
        decoded = self._properties
        if decoded is None:
            decoded = self._properties = decode_properties(self.encoded_properties)
        return decoded

    @property
    def exchange(self) -> str:
        """The exchange the message was published to."""
        return decode_short_string(self.routing, 0)[0]

    @property
    def routing_key(self) -> str:
        """The routing key the message was published with."""
        _, end = decode_short_string(self.routing, 0)
        return decode_short_string(self.routing, end)[0]


class Delivery(Content):
    """A message delivered to a consumer (``basic.deliver``).

    :ivar size: bytes of the body as it was sent. A body over the connection's ``max_content`` is cut: see
        :class:`rpc.amqp.codec.frame_reader.CutBody`.
    """

    __slots__ = ("channel", "delivery_tag", "redelivered", "size")

    def __init__(
        self,
        channel: Channel,
        delivery_tag: int,
        redelivered: bool,
        routing: bytes,
        encoded_properties: bytes,
        body: bytes,
    ) -> None:
        self.channel = channel
        self.delivery_tag = delivery_tag
        self.redelivered = redelivered
        # the same as super().__init__, without a call for each message
        self.routing = routing
        self.encoded_properties = encoded_properties
        self.body = body
        self.size = len(body) if type(body) is bytes else size_of(body)
        self._properties = None


class Returned(Content):
    """A mandatory message that no queue took (``basic.return``): code 312 when no queue is bound with its key."""

    __slots__ = ("reply_code", "reply_text")

    def __init__(
        self, reply_code: int, reply_text: str, routing: bytes, encoded_properties: bytes, body: bytes
    ) -> None:
        super().__init__(routing, encoded_properties, body)
        self.reply_code = reply_code
        self.reply_text = reply_text
