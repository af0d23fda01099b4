"""The properties of copies, as the verbs ``dead`` and ``queue`` publish them.

Each function takes a message and :func:`own_user`. The copy says who has sent the original
(:mod:`rpc.worker.sender`). The headers that route a message are left out, and the broker's own counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs
from twisted.internet.defer import Deferred

from rpc.amqp.codec.properties import USER_ID, encode_properties, join_properties, split_properties
from rpc.amqp.confirmed import ConfirmedPublisher
from rpc.amqp.content import Delivery
from rpc.amqp.protocol import AMQPConnection
from rpc.amqp.reasons import wrong_user
from rpc.cli.standard_output import warn
from rpc.errors import ChannelClosed, CodecError
from rpc.headers import DELIVERIES, LIVENESS, NOT_COPIED, OF_DEAD_LETTERS, RENEWALS, SIGNATURE
from rpc.keys import Keys
from rpc.messages import Properties
from rpc.signing import ONEWAY_LIFETIME, Kind, SignatureError, sign, verify
from rpc.worker.begins import believed, possible_begins
from rpc.worker.sender import sender_of, with_sender

CopyOf: TypeAlias = Callable[[Delivery, str | None], bytes]
"""A function that returns the encoded properties of a copy."""

UNKNOWN_USER: Final = (
    "the broker does not know this connection by the user name {!r}. So copies do not say which users have sent the "
    "originals, and services with the option allow deny them. Log in by the name that the broker has"
)

LEFT_OUT: Final = frozenset({DELIVERIES, RENEWALS, LIVENESS, SIGNATURE})
"""Headers of a letter's earlier deliveries. Deliveries are counted anew, and no caller waits for a keepalive. The
signature does not hold without the reply queue.
"""


async def own_user(connection: AMQPConnection) -> str | None:
    """Return the user name that copies may have as their user id; ``None``: the broker knows the connection by another
    name, as it may for a token or a certificate, and would close the channel of the copies (RabbitMQ documentation,
    "Validated User-ID"). That is told on standard error.

    The question is a message that no queue takes. To be asked first on a connection to publish on: during an alarm,
    this message blocks the connection, and not a copy, which would be published before its original is acked.

    :raises AMQPError: the connection was lost, or the user may not publish to the default exchange (403).
    """
    user = connection.credentials.user
    channel = await connection.open_channel()
    channel.publish("", "", encode_properties(Properties(user_id=user)), b"")
    try:
        await channel.confirm_select()  # its answer comes after the message was checked
    except ChannelClosed as error:
        if wrong_user(error) is None:
            raise
        warn(UNKNOWN_USER.format(user))
        return None
    channel.close()
    return user


def copy_as_it_is(delivery: Delivery, own: str | None) -> bytes:
    """Return the properties of a copy: those of the message, but persistent."""
    return encode_properties(_copy(delivery.properties, delivery.properties.headers or {}, own))


def copy_with_count(delivery: Delivery, own: str | None) -> bytes:
    """As :func:`copy_as_it_is`, for a request. The broker does not know a copy as redelivered. So the number of times
    that workers may have begun the request is written into it, as a worker does that republishes a request.
    """
    headers = believed(delivery.properties.headers or {}, delivery.exchange)
    begins = possible_begins(headers, delivery.redelivered)
    return encode_properties(_copy(delivery.properties, {**headers, DELIVERIES: begins} if begins else headers, own))


def copy_revived(delivery: Delivery, own: str | None) -> bytes:
    """Return the :func:`revived` properties of a dead letter.

    :raises SignatureError: the letter is signed. Its signature covers the reply queue, so it would not hold any more.
    """
    properties = delivery.properties
    if properties.headers and SIGNATURE in properties.headers:
        raise SignatureError("it is signed: give --keys, the file of the keys of its service")
    return encode_properties(revived(properties, own))


def copy_signed_anew(keys: Keys, service: str, delivery: Delivery, own: str | None) -> bytes:
    """Return the :func:`revived` properties of a dead letter, signed with the key that it has now.

    :raises SignatureError: the letter has no valid signature. Signing it would make a forged request a good one.
    """
    parts = split_properties(delivery.encoded_properties)
    signed = verify(keys, Kind.REQUEST, service, parts, delivery.body)
    properties = encode_properties(revived(delivery.properties, own))
    return sign(keys, signed.key, Kind.REQUEST, service, properties, delivery.body, lifetime=ONEWAY_LIFETIME)[0]


def revived(properties: Properties, own: str | None = None) -> Properties:
    """Return the properties with which a letter is published again: without a reply queue and an expiration.

    The worker that reads the letter again believes us who has sent it, if we are its own user, too.
    """
    headers = {
        name: value
        for name, value in (properties.headers or {}).items()
        if name not in LEFT_OUT and not name.startswith(OF_DEAD_LETTERS)
    }
    return attrs.evolve(_copy(properties, headers, own), reply_to=None, expiration=None)


def publish_copy(
    publisher: ConfirmedPublisher, queue: str, delivery: Delivery, copy_of: CopyOf, own: str | None
) -> Deferred[None]:
    """Publish a copy into a queue. The properties stay as they are if they are malformed, or their copy fills a frame.

    :return: as of :meth:`~rpc.amqp.confirmed.ConfirmedPublisher.publish`.
    :raises AMQPError: the channel is closed.
    """
    try:
        return publisher.publish("", queue, copy_of(delivery, own), delivery.body)
    except CodecError:
        return publisher.publish("", queue, _unread(delivery), delivery.body)


def _copy(properties: Properties, headers: Mapping[str, Any], own: str | None) -> Properties:
    """Return the properties of a persistent copy.

    :param headers: those that the copy is to have, as far as copies may have them.
    """
    sender = sender_of(properties.user_id, properties.headers or {}, own)
    copied = {name: value for name, value in headers.items() if name not in NOT_COPIED}
    return with_sender(attrs.evolve(properties, headers=copied, delivery_mode=2), sender, own)


def _unread(delivery: Delivery) -> bytes:
    """Return the properties as they came, less the user id: RabbitMQ rejects one that is not our own."""
    try:
        parts = [*split_properties(delivery.encoded_properties)]
    except CodecError:
        return delivery.encoded_properties
    parts[USER_ID] = None
    return join_properties(parts)
