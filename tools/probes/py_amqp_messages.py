"""Messages published, consumed, settled, lost and recovered, as py-amqp has them."""

from __future__ import annotations

import datetime
import socket
from decimal import Decimal
from typing import Any

import amqp

from tools.probes.py_amqp_support import Probe, describe, receive, scenario, settle, wait_until

REPLY_TO = "amq.rabbitmq.reply-to"


@scenario
def mandatory(probe: Probe) -> None:
    """An unroutable message comes back before it is confirmed."""
    channel = probe.channel(probe.connect(confirm_publish=False))
    events: list[str] = []
    channel.events["basic_return"].add(
        lambda error, exchange, key, message: events.append(
            f"return {error.reply_code} {error.reply_text} {exchange!r} {key!r} {message.body!r}"
        )
    )
    channel.events["basic_ack"].add(lambda tag, multiple: events.append(f"ack {tag}"))
    channel.confirm_select()
    channel.basic_publish(probe.message("m"), "", probe.name("nowhere"), mandatory=True)
    receive(channel.connection, events, 2)
    probe.say(f"{events}")


@scenario
def immediate(probe: Probe) -> None:
    """Immediate delivery is not offered."""
    channel = probe.channel()
    probe.tries("immediate", channel.basic_publish, probe.message("m"), "", probe.queue(channel), immediate=True)


@scenario
def publish_refused(probe: Probe) -> None:
    """Messages that end the channel."""
    cases: dict[str, dict[str, Any]] = {
        "missing exchange": {"exchange": probe.name("missing")},
        "somebody else": {"user_id": "somebody"},
        "no number": {"expiration": "soon"},
        "a negative one": {"expiration": "-1"},
    }
    for what, options in cases.items():
        exchange = options.pop("exchange", "")
        probe.tries(what, probe.channel().basic_publish, probe.message("m", **options), exchange, "k")


@scenario
def confirms(probe: Probe) -> None:
    """Acks, and nacks of a queue that is full."""
    channel = probe.channel()
    events: list[str] = []
    channel.events["basic_ack"].add(lambda tag, multiple: events.append(f"ack {tag}"))
    channel.events["basic_nack"].add(lambda tag, multiple: events.append(f"nack {tag}"))
    probe.tries("select", channel.confirm_select)
    probe.tries("select again", channel.confirm_select)
    queue = probe.queue(channel, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    for number in (1, 2, 3):
        channel.basic_publish(probe.message("m"), "", queue)
        receive(channel.connection, events, number)
    probe.say(f"{events}")


@scenario
def properties(probe: Probe) -> None:
    """All properties arrive as they were sent."""
    channel = probe.channel()
    queue = probe.queue(channel)
    every = {
        "content_type": "text/plain",
        "content_encoding": "utf-8",
        "application_headers": {"h": "v"},
        "delivery_mode": 2,
        "priority": 7,
        "correlation_id": "correlation",
        "reply_to": "somewhere",
        "expiration": "60000",
        "message_id": "id",
        "timestamp": 1700000000,
        "type": "kind",
        "user_id": "guest",
        "app_id": "probe",
    }
    channel.basic_publish(amqp.Message("all", **every), "", queue)
    probe.get(channel, queue)
    channel.basic_publish(amqp.Message(""), "", queue)
    probe.get(channel, queue)


@scenario
def header_types(probe: Probe) -> None:
    """Values of all types that py-amqp knows arrive as they were sent."""
    channel = probe.channel()
    queue = probe.queue(channel)
    values: dict[str, Any] = {
        "true": True,
        "small": 5,
        "negative": -5,
        "int": 2**31 - 1,
        "long": 2**31,
        "least": -(2**63),
        "float": 1.5,
        "string": "strüng",
        "bytes": b"\x00\xff",
        "void": None,
        "decimal": Decimal("3.14"),
        "timestamp": datetime.datetime(2024, 1, 2, 3, 4, 5),
        "table": {"a": {"b": {"c": 1}}, "empty": {}},
        "array": [1, "two", 3.5, [4, {"five": None}], []],
    }
    for name, value in values.items():
        channel.basic_publish(probe.message("m", application_headers={name: value}), "", queue)
        probe.get(channel, queue)


@scenario
def bodies(probe: Probe) -> None:
    """Empty ones, and those of many frames."""
    connection = probe.connect(frame_max=4096)
    channel = probe.channel(connection)
    queue = probe.queue(channel)
    for size in (0, 1, 4087, 4088, 4089, 8176, 1000000):
        body = (b"0123456789" * (size // 10 + 1))[:size]
        channel.basic_publish(amqp.Message(body), "", queue)
        message = channel.basic_get(queue, no_ack=True)
        received = message.body if isinstance(message.body, bytes) else message.body.encode()
        probe.say(f"{size}: the same={received == body}")


@scenario
def time_to_live(probe: Probe) -> None:
    """A dead letter of a message that expired."""
    channel = probe.channel()
    dead = probe.queue(channel, "dead")
    arguments = {"x-message-ttl": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    queue = probe.queue(channel, arguments=arguments)
    channel.basic_publish(probe.message("m"), "", queue)
    probe.get(channel, dead)
    channel.basic_publish(probe.message("m", expiration="10"), "", queue)
    probe.get(channel, dead)


@scenario
def dead_letters(probe: Probe) -> None:
    """Dead letters by rejection, and by a full queue."""
    channel = probe.channel(confirms=True)
    dead = probe.queue(channel, "dead")
    arguments = {"x-max-length": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    queue = probe.queue(channel, arguments=arguments)
    for body in ("1", "2"):
        channel.basic_publish(probe.message(body), "", queue)
    probe.get(channel, dead)
    message = probe.get(channel, queue, no_ack=False)
    channel.basic_reject(message.delivery_tag, requeue=False)
    message = probe.get(channel, dead)
    channel.basic_publish(amqp.Message("again", application_headers=message.headers), "", queue)
    message = probe.get(channel, queue, no_ack=False)
    channel.basic_reject(message.delivery_tag, requeue=False)
    probe.get(channel, dead)


@scenario
def priorities(probe: Probe) -> None:
    """The highest first."""
    channel = probe.channel(confirms=True)
    queue = probe.queue(channel, arguments={"x-max-priority": 3})
    for priority in (1, 3, 0, 2, 3):
        channel.basic_publish(probe.message(f"p{priority}", priority=priority), "", queue)
    probe.say(f"{probe.drain(channel, queue)}")


@scenario
def prefetch(probe: Probe) -> None:
    """Per consumer, and per channel."""
    for a_global in (False, True):
        channel = probe.channel(confirms=True)
        queue = probe.queue(channel, f"q{a_global}")
        for number in range(6):
            channel.basic_publish(probe.message(str(number)), "", queue)
        channel.basic_qos(0, 2, a_global)
        came: list[Any] = []
        for tag in ("one", "two"):
            channel.basic_consume(queue, tag, callback=came.append)
            settle_queue(channel, queue)
        probe.say(f"global={a_global}: {[message.body for message in came]}")
        channel.basic_ack(0, multiple=True)
        expected = len(came) * 2 if a_global else 6
        receive(channel.connection, came, expected)
        settle_queue(channel, queue)
        probe.say(f"global={a_global}, acked: {[message.body for message in came]}")


def settle_queue(channel: amqp.Channel, queue: str) -> None:
    """Have a queue answer twice, so that its deliveries to this channel have come."""
    for _ in range(2):
        channel.queue_declare(queue, passive=True)


@scenario
def consume_refused(probe: Probe) -> None:
    """A queue that is missing, or in exclusive use."""
    channel = probe.channel()
    queue = probe.queue(channel)
    probe.tries("missing", probe.channel().basic_consume, probe.name("missing"))
    channel.basic_consume(queue, exclusive=True)
    probe.tries("in exclusive use", probe.channel().basic_consume, queue)


@scenario
def consumer_tags(probe: Probe) -> None:
    """A tag that the broker makes up, and one that is taken."""
    channel = probe.channel()
    queue = probe.queue(channel)
    probe.tries("made up", channel.basic_consume, queue)
    probe.tries("mine", channel.basic_consume, queue, "mine")
    probe.tries("mine again", channel.basic_consume, queue, "mine")


@scenario
def cancelled_by_the_broker(probe: Probe) -> None:
    """A consumer is told that its queue is gone."""
    channel = probe.channel()
    queue = probe.queue(channel)
    told: list[str] = []
    channel.basic_consume(queue, "mine", on_cancel=told.append)
    probe.channel().queue_delete(queue)
    receive(channel.connection, told, 1)
    probe.say(f"{told}")


@scenario
def settling(probe: Probe) -> None:
    """Tags that are unknown or settled; all at once; given back in order."""
    channel = probe.channel(confirms=True)
    queue = probe.queue(channel)
    for number in range(5):
        channel.basic_publish(probe.message(str(number)), "", queue)
    for _ in range(5):
        probe.get(channel, queue, no_ack=False)
    probe.tries("ack 2, and what is before", channel.basic_ack, 2, multiple=True)
    probe.tries("reject 5", channel.basic_reject, 5, requeue=True)
    probe.tries("reject 3", channel.basic_reject, 3, requeue=True)
    for _ in range(2):
        probe.get(channel, queue)
    probe.tries("ack 9", channel.basic_ack, 9)
    channel = probe.channel()
    probe.wait_for_count(channel, queue, 1)
    probe.tries("recover", channel.basic_recover, requeue=True)
    probe.tries("nothing to ack", channel.basic_ack, 1)
    probe.tries("nothing to reject", probe.channel().basic_reject, 1, requeue=False)


@scenario
def reply_to(probe: Probe) -> None:
    """A reply without a queue; to a requester that has gone."""
    requester, worker = probe.channel(probe.connect()), probe.channel(probe.connect())
    queue = probe.queue(worker)
    came: list[Any] = []
    requester.basic_consume(REPLY_TO, "mine", no_ack=True, callback=came.append)
    requester.basic_publish(probe.message("request", reply_to=REPLY_TO), "", queue)
    request = probe.get(worker, queue)
    worker.basic_publish(probe.message("reply", correlation_id="1"), "", request.properties["reply_to"])
    receive(requester.connection, came, 1)
    probe.say(describe(came[0]))
    requester.connection.close()
    returned: list[Any] = []
    worker.events["basic_return"].add(lambda error, *arguments: returned.append(error.reply_text))
    wait_until(lambda: _is_returned(probe, worker, request.properties["reply_to"], returned))
    probe.say(f"to the gone: {returned[:1]}")
    probe.tries("consuming with acks", probe.channel().basic_consume, REPLY_TO)
    probe.tries(
        "request without consumer", probe.channel().basic_publish, probe.message("m", reply_to=REPLY_TO), "", "k"
    )


def _is_returned(probe: Probe, channel: amqp.Channel, key: str, returned: list[Any]) -> bool:
    channel.basic_publish(probe.message("late"), "", key, mandatory=True)
    settle(channel)
    return bool(returned)


@scenario
def copies(probe: Probe) -> None:
    """CC and BCC."""
    channel = probe.channel(confirms=True)
    first, second, third = (probe.queue(channel, label) for label in ("first", "second", "third"))
    headers = {"CC": [second], "BCC": [third]}
    channel.basic_publish(probe.message("m", application_headers=headers), "", first)
    for queue in (first, second, third):
        probe.get(channel, queue)


@scenario
def transactions(probe: Probe) -> None:
    """Published and acked when they are committed, or not at all."""
    channel = probe.channel()
    queue = probe.queue(channel)
    probe.tries("select", channel.tx_select)
    channel.basic_publish(probe.message("1"), "", queue)
    probe.tries("rollback", channel.tx_rollback)
    channel.basic_publish(probe.message("2"), "", queue)
    probe.tries("commit", channel.tx_commit)
    message = probe.get(channel, queue, no_ack=False)
    channel.basic_ack(message.delivery_tag)
    probe.tries("rollback", channel.tx_rollback)
    channel.close()
    probe.get(probe.channel(), queue)


@scenario
def recovers_from_a_lost_connection(probe: Probe) -> None:
    """Unacked messages come again on the next connection; exclusive queues are gone."""
    connection = probe.connect()
    channel = probe.channel(connection, confirms=True)
    kept, own = probe.name("kept"), probe.queue(channel, "own")
    channel.queue_declare(kept, auto_delete=False, durable=True)
    for number in range(3):
        channel.basic_publish(probe.message(str(number), delivery_mode=2), "", kept)
    came: list[Any] = []
    channel.basic_consume(kept, callback=came.append)
    receive(connection, came, 3)
    channel.basic_ack(came[0].delivery_tag)
    settle_queue(channel, kept)
    connection.transport.sock.shutdown(socket.SHUT_RDWR)
    probe.tries("the channel", channel.queue_declare, kept, passive=True)
    connection = probe.connect()
    channel = probe.channel(connection)
    probe.wait_for_count(channel, kept, 2)
    probe.say(f"its own queue is gone: {wait_until(lambda: _is_missing(probe, connection, own))}")
    came.clear()
    channel.basic_consume(kept, "again", callback=came.append)
    receive(connection, came, 2)
    for message in came:
        probe.say(describe(message))
        channel.basic_ack(message.delivery_tag)
    probe.tries("all settled", channel.queue_declare, kept, passive=True)


def _is_missing(probe: Probe, connection: amqp.Connection, queue: str) -> bool:
    try:
        probe.channel(connection).queue_declare(queue, passive=True)
    except amqp.NotFound:
        return True
    except amqp.ResourceLocked:
        return False
    return False


@scenario
def recovers_from_a_refusal(probe: Probe) -> None:
    """A channel that the broker closes requeues its unacked messages; another one of the connection goes on."""
    connection = probe.connect()
    channel, other = probe.channel(connection, confirms=True), probe.channel(connection)
    queue = probe.queue(channel)
    for number in range(2):
        channel.basic_publish(probe.message(str(number)), "", queue)
    for _ in range(2):
        probe.get(channel, queue, no_ack=False)
    probe.tries("refused", channel.queue_declare, probe.name("missing"), passive=True)
    probe.wait_for_count(other, queue, 2)
    for _ in range(2):
        probe.get(other, queue)


@scenario
def connection_closes(probe: Probe) -> None:
    """A connection that ends in order requeues its unacked messages."""
    watcher = probe.channel(probe.connect(), confirms=True)
    queue = probe.name("q")
    watcher.queue_declare(queue, auto_delete=False)
    watcher.basic_publish(probe.message("m"), "", queue)
    connection = probe.connect()
    probe.get(probe.channel(connection), queue, no_ack=False)
    connection.close()
    probe.wait_for_count(watcher, queue, 1)
    probe.get(watcher, queue)
