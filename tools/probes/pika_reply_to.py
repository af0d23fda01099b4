"""Direct reply-to: replies without a queue of the requester's own."""

from __future__ import annotations

from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

from tools.probes.pika_support import Probe, describe_message, scenario, settle, wait_until

REPLY_TO = "amq.rabbitmq.reply-to"


def _address(probe: Probe, requester: BlockingChannel) -> str:
    """The reply address of a request, as its consumer sees it."""
    worker = probe.channel()
    queue = worker.queue_declare("", exclusive=True).method.queue
    requester.basic_publish("", queue, b"request", pika.BasicProperties(reply_to=REPLY_TO))
    message: Any = (None, None, None)

    def got() -> bool:
        nonlocal message
        message = worker.basic_get(queue, auto_ack=True)
        return message[0] is not None

    wait_until(worker.connection, got)
    return str(message[1].reply_to)


@scenario
def reply(probe: Probe) -> None:
    """A request has the way back in its reply_to; a reply comes on the requester's channel."""
    requester, worker = probe.channel(), probe.channel(probe.connect())
    worker.confirm_delivery()
    inbox = probe.consume(requester, REPLY_TO, auto_ack=True, consumer_tag="mine")
    address = _address(probe, requester)
    probe.say(f"reply_to={address}")
    for number in range(3):
        properties = probe.properties(correlation_id=str(number))
        probe.tries("reply", worker.basic_publish, "", address, b"%d" % number, properties, mandatory=True)
    wait_until(requester.connection, lambda: len(inbox.deliveries) == 3)
    for method, properties, body in inbox.deliveries:
        probe.say(describe_message(method, properties, body))


@scenario
def reply_to_the_gone(probe: Probe) -> None:
    """A requester that has gone is not there: its replies are returned."""
    connection = probe.connect()
    requester, worker = probe.channel(connection), probe.channel(probe.connect())
    worker.confirm_delivery()
    probe.consume(requester, REPLY_TO, auto_ack=True)
    address = _address(probe, requester)
    requester.close()
    probe.tries("channel closed, mandatory", worker.basic_publish, "", address, b"m", mandatory=True)
    probe.tries("channel closed", worker.basic_publish, "", address, b"m")
    requester = probe.channel(connection)
    inbox = probe.consume(requester, REPLY_TO, auto_ack=True)
    address = _address(probe, requester)
    requester.basic_cancel(inbox.tag)
    probe.tries("consumer cancelled", worker.basic_publish, "", address, b"m", mandatory=True)
    inbox = probe.consume(requester, REPLY_TO, auto_ack=True)
    probe.tries("consuming again, the former address", worker.basic_publish, "", address, b"m", mandatory=True)
    settle(requester)
    probe.say(f"came: {inbox.bodies}")
    address = _address(probe, requester)
    connection.close()
    probe.tries("connection closed", worker.basic_publish, "", address, b"m", mandatory=True)
    for made_up in ("amq.rabbitmq.reply-to.made.up", "amq.rabbitmq.reply-to.", REPLY_TO):
        channel = probe.channel()
        channel.confirm_delivery()
        probe.tries(f"{len(made_up)} characters made up", channel.basic_publish, "", made_up, b"m", mandatory=True)


@scenario
def reply_to_refused(probe: Probe) -> None:
    """Consuming is without acks, once a channel, and before requests are sent."""
    probe.tries("with acks", probe.channel().basic_consume, REPLY_TO, print)
    channel = probe.channel()
    probe.tries("first", channel.basic_consume, REPLY_TO, print, auto_ack=True)
    probe.tries("second", channel.basic_consume, REPLY_TO, print, auto_ack=True)
    properties = probe.properties(reply_to=REPLY_TO)
    probe.tries("request without consumer", probe.channel().basic_publish, "", "k", b"m", properties)
    probe.tries("exclusive", probe.channel().basic_consume, REPLY_TO, print, auto_ack=True, exclusive=True)
    channel = probe.channel()
    inbox = probe.consume(channel, REPLY_TO, auto_ack=True)
    channel.basic_cancel(inbox.tag)
    probe.tries("request after cancel", channel.basic_publish, "", "k", b"m", properties)


@scenario
def reply_to_as_a_queue(probe: Probe) -> None:
    """Other operations on the name amq.rabbitmq.reply-to, which is no queue."""
    requester = probe.channel()
    probe.consume(requester, REPLY_TO, auto_ack=True)
    address = _address(probe, requester)
    for name in (REPLY_TO, address, "amq.rabbitmq.reply-to.made-up"):
        label = "address" if name is address else name
        probe.tries(f"declare {label}", probe.channel().queue_declare, name)
        probe.tries(f"declare passive {label}", probe.channel().queue_declare, name, passive=True)
        probe.tries(f"get {label}", probe.channel().basic_get, name)
        probe.tries(f"delete {label}", probe.channel().queue_delete, name)
        probe.tries(f"purge {label}", probe.channel().queue_purge, name)
        probe.tries(f"bind {label}", probe.channel().queue_bind, name, "amq.direct", "k")
    probe.tries("consume address", probe.channel().basic_consume, address, print, auto_ack=True)


@scenario
def reply_by_exchange(probe: Probe) -> None:
    """The way back is a routing key of the default exchange alone."""
    requester, worker = probe.channel(), probe.channel()
    worker.confirm_delivery()
    inbox = probe.consume(requester, REPLY_TO, auto_ack=True)
    address = _address(probe, requester)
    probe.tries("amq.direct", worker.basic_publish, "amq.direct", address, b"m", mandatory=True)
    probe.tries("CC", worker.basic_publish, "", address, b"cc", probe.properties(headers={"CC": ["k"]}))
    probe.say(f"came: {inbox.wait(1)}")
    message = probe.properties(headers={"CC": [address]})
    probe.tries("in CC", worker.basic_publish, "", probe.name("nowhere"), b"in cc", message, mandatory=True)
    settle(requester)
    probe.say(f"came: {inbox.bodies}")
