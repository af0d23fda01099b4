"""Asks the broker whether it has an alarm.

RabbitMQ sends ``connection.blocked`` when a connection publishes during an alarm, and then reads nothing more from it
(RabbitMQ documentation, "Blocked Connection Notifications"). A client that only waits for replies is not told. So a
message is published that no queue takes. The answer to a method behind it means that there is no alarm.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import encode_properties
from rpc.amqp.confirms import ConfirmLedger
from rpc.messages import Properties

NO_PROPERTIES = encode_properties(Properties())


def publish_probe(channel: Channel, ledger: ConfirmLedger[Any], exchange: str) -> None:
    """Publish a message that no queue takes.

    :param exchange: one that the client may publish to.
    :raises AMQPError: the channel is closed.
    """
    channel.publish(exchange, "", NO_PROPERTIES, b"")
    ledger.skip()


def when_no_alarm(channel: Channel, ledger: ConfirmLedger[Any], exchange: str) -> Deferred[Any]:
    """Publish a probe, and fire when the broker has read it and reads on. Not before the end of an alarm.

    :return: fails with :class:`~rpc.errors.AMQPError` when the channel is closed or lost.
    :raises AMQPError: the channel is closed.
    """
    publish_probe(channel, ledger, exchange)
    answered: Deferred[Any] = channel.basic_qos(prefetch_count=0)  # no limit, as before
    return answered
