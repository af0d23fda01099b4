"""Looks exchanges up, and declares them, with no more permissions than needed.

RabbitMQ demands the configure permission for ``exchange.declare``, also when the exchange exists. The same permission
allows ``exchange.delete``, which takes the calls of everybody down. For a passive declaration it demands none, and from
version 4.3 on any of the three (https://github.com/rabbitmq/rabbitmq-server/pull/16272). So each exchange is looked up
first, and is declared only when it is missing. A lookup that finds nothing closes its channel (AMQP 0-9-1,
exchange.declare: 404), so it has one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.pipelining import all_answered
from rpc.amqp.protocol import AMQPConnection
from rpc.errors import ChannelClosed
from rpc.messages import Properties
from rpc.reply_codes import ACCESS_REFUSED, NOT_FOUND
from rpc.topology import Declaration, existing_exchange

NO_PROPERTIES = encode_properties(Properties())


def unusable_exchanges(connection: AMQPConnection, names: Iterable[str]) -> Deferred[dict[str, ChannelClosed]]:
    """Find out to which exchanges this user can publish, by a message that no queue takes.

    :return: fires with the error of each exchange that does not exist (404) or may not be written to (403); fails with
        :class:`~rpc.errors.AMQPError` when the connection is lost. Cancelling it closes its channel.
    """
    return Deferred.fromCoroutine(_unusable(connection, names, publish=True))


async def _unusable(connection: AMQPConnection, names: Iterable[str], publish: bool) -> dict[str, ChannelClosed]:
    errors: dict[str, ChannelClosed] = {}
    channel: Channel | None = None
    try:
        for name in names:
            if channel is None:
                channel = await connection.open_channel()
            try:
                if publish:
                    channel.publish(name, "", NO_PROPERTIES, b"")
                await channel.declare(existing_exchange(name))
            except ChannelClosed as error:
                if error.code not in (ACCESS_REFUSED, NOT_FOUND):
                    raise
                errors[name] = error
                channel = None
    finally:  # also when it is cancelled
        if channel is not None:
            channel.close()
    return errors


def declare_exchanges(connection: AMQPConnection, declarations: Iterable[Declaration]) -> Deferred[None]:
    """Declare the exchanges that do not exist.

    :return: fires when all exist. Fails with :class:`~rpc.errors.ChannelClosed` (403) when one does not exist and the
        user may not declare it, and with another :class:`~rpc.errors.AMQPError` when the connection is lost.
        Cancelling it closes its channel.
    """
    return Deferred.fromCoroutine(_declare_missing(connection, list(declarations)))


async def _declare_missing(connection: AMQPConnection, declarations: list[Declaration]) -> None:
    missing = await _unusable(connection, [each.arguments["exchange"] for each in declarations], publish=False)
    if not missing:
        return
    channel = await connection.open_channel()
    try:
        await all_answered(channel.declare(each) for each in declarations if each.arguments["exchange"] in missing)
    except ChannelClosed as error:
        if error.code != ACCESS_REFUSED:
            raise
        names = ", ".join(map(repr, missing))
        raise ChannelClosed(
            error.code,
            f"{error.text}. Of the exchanges {names}, which do not exist, one may not be declared by this user. Have "
            "an operator declare them, or grant the permission to configure: see docs/security.md, section "
            "'Permissions'",
        ) from error
    finally:
        channel.close()


def declare(channel: Channel, declarations: Iterable[Declaration]) -> Deferred[None]:
    """Declare queues and bindings on `channel`, and before that the exchanges among them, on channels of their own.

    :return: fires when all is declared. Fails with the error of the first declaration that failed.
    """
    declarations = list(declarations)
    exchanges = [each for each in declarations if each.is_exchange]
    others = [each for each in declarations if not each.is_exchange]
    ready: Deferred[Any] = declare_exchanges(channel.client, exchanges) if exchanges else succeed(None)
    return ready.addCallback(lambda _: all_answered(channel.declare(each) for each in others))
