"""Acks, rejections and requeued messages."""

from __future__ import annotations

import socket

from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

from tools.probes.pika_support import Probe, describe_message, fence, scenario, wait_until


def _taken(probe: Probe, count: int) -> tuple[BlockingChannel, str]:
    """A channel that has taken so many messages of a queue, and the queue."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, *(b"%d" % number for number in range(1, count + 1)))
    for _ in range(count):
        channel.basic_get(queue)
    return channel, queue


@scenario
def unknown_tags(probe: Probe) -> None:
    """Tags that are none, or are settled already."""
    probe.tries("ack 1", probe.channel().basic_ack, 1)
    probe.tries("ack 1 multiple", probe.channel().basic_ack, 1, multiple=True)
    probe.tries("ack 0", probe.channel().basic_ack, 0)
    probe.tries("ack 0 multiple, nothing there", probe.channel().basic_ack, 0, multiple=True)
    probe.tries("nack 1", probe.channel().basic_nack, 1)
    probe.tries("nack 0 multiple, nothing there", probe.channel().basic_nack, 0, multiple=True)
    probe.tries("reject 1", probe.channel().basic_reject, 1)
    probe.tries("reject 0", probe.channel().basic_reject, 0)
    probe.tries("ack 2**63-1", probe.channel().basic_ack, 2**63 - 1)
    channel, _ = _taken(probe, 2)
    probe.tries("ack", channel.basic_ack, 1)
    probe.tries("ack again", channel.basic_ack, 1)
    channel, _ = _taken(probe, 2)
    probe.tries("ack 3 multiple, of 2", channel.basic_ack, 3, multiple=True)
    channel, _ = _taken(probe, 3)
    probe.tries("ack 2 multiple", channel.basic_ack, 2, multiple=True)
    probe.tries("ack 1, settled", channel.basic_ack, 1)


@scenario
def ack_multiple(probe: Probe) -> None:
    """Up to a tag, or all by tag 0."""
    channel, queue = _taken(probe, 5)
    probe.tries("ack 2 multiple", channel.basic_ack, 2, multiple=True)
    probe.tries("ack 4", channel.basic_ack, 4)
    probe.tries("ack 5 multiple", channel.basic_ack, 5, multiple=True)
    probe.tries("ack 0 multiple", channel.basic_ack, 0, multiple=True)
    channel.close()
    channel = probe.channel()
    probe.say(f"given back: {probe.drain(channel, queue)}")


@scenario
def nack_multiple(probe: Probe) -> None:
    """A requeued message goes to its place, marked as redelivered."""
    channel, queue = _taken(probe, 5)
    channel.basic_ack(2)
    probe.publish(channel, "", queue, b"6")
    probe.tries("nack 4 multiple", channel.basic_nack, 4, multiple=True, requeue=True)
    for _ in range(4):
        probe.get(channel, queue)
    channel.basic_nack(0, multiple=True, requeue=True)
    probe.get(channel, queue)


@scenario
def nack_without_requeue(probe: Probe) -> None:
    """Without requeue, and without dead letters, it is gone."""
    channel, queue = _taken(probe, 3)
    probe.tries("nack 2 multiple", channel.basic_nack, 2, multiple=True, requeue=False)
    probe.tries("reject 3", channel.basic_reject, 3, requeue=False)
    probe.say(f"left {probe.count(channel, queue)}")


@scenario
def requeue_order(probe: Probe) -> None:
    """Messages that are requeued in any order go back to their own places."""
    channel, queue = _taken(probe, 4)
    probe.publish(channel, "", queue, b"5")
    for tag in (3, 1, 4, 2):
        channel.basic_reject(tag, requeue=True)
    fence(channel, queue)
    for _ in range(5):
        probe.get(channel, queue)


@scenario
def requeue_to_consumers(probe: Probe) -> None:
    """A consumer that rejects has the message again, with a new tag."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    inbox = probe.consume(channel, queue)
    probe.publish(channel, "", queue, b"m")
    for number in range(1, 4):
        inbox.wait(number)
        probe.say(describe_message(*inbox.deliveries[-1]))
        channel.basic_reject(inbox.deliveries[-1][0].delivery_tag, requeue=True)


@scenario
def requeue_with_prefetch(probe: Probe) -> None:
    """With room for one, a message that is given back comes before those behind it."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, b"1", b"2", b"3")
    channel.basic_qos(prefetch_count=1)
    inbox = probe.consume(channel, queue)
    inbox.wait(1)
    channel.basic_nack(1, requeue=True)
    inbox.wait(2)
    channel.basic_ack(2)
    inbox.wait(3)
    for delivery in inbox.deliveries:
        probe.say(describe_message(*delivery))


@scenario
def recover(probe: Probe) -> None:
    """Recovering gives everything back; to have it redelivered to the same consumer is not offered."""
    channel, queue = _taken(probe, 3)
    probe.tries("requeue", channel.basic_recover, requeue=True)
    probe.wait_for_count(channel, queue, 3)
    for _ in range(3):
        probe.get(channel, queue, auto_ack=False)
    probe.tries("not requeue", channel.basic_recover, requeue=False)
    channel = probe.channel()
    probe.tries("nothing to recover", channel.basic_recover, requeue=True)


@scenario
def recover_with_consumer(probe: Probe) -> None:
    """A consumer gets its unacked messages again."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, b"1", b"2", b"3")
    inbox = probe.consume(channel, queue)
    inbox.wait(3)
    channel.basic_ack(2)
    channel.basic_recover(requeue=True)
    inbox.wait(5)
    for delivery in inbox.deliveries:
        probe.say(describe_message(*delivery))


@scenario
def channel_ends(probe: Probe) -> None:
    """Unacked messages of a closed channel are ready again, in their order, before later ones."""
    channel, queue = _taken(probe, 3)
    channel.basic_ack(2)
    other = probe.channel()
    other.confirm_delivery()
    probe.publish(other, "", queue, b"later")
    channel.close()
    probe.wait_for_count(other, queue, 3)
    for _ in range(3):
        probe.get(other, queue)


@scenario
def channel_is_refused(probe: Probe) -> None:
    """So it is when the broker closes the channel."""
    channel, queue = _taken(probe, 3)
    probe.tries("refused", channel.basic_ack, 7)
    other = probe.channel()
    probe.wait_for_count(other, queue, 3)
    for _ in range(3):
        probe.get(other, queue)


@scenario
def connection_ends(probe: Probe) -> None:
    """So it is when the connection is closed, or is lost."""
    for way in ("closed", "lost"):
        watcher = probe.channel(probe.connect())
        watcher.confirm_delivery()
        queue = probe.name(way)
        watcher.queue_declare(queue)
        probe.publish(watcher, "", queue, b"1", b"2", b"3")
        connection = probe.connect()
        channel = probe.channel(connection)
        inbox = probe.consume(channel, queue)
        inbox.wait(3)
        channel.basic_ack(1)
        fence(channel, queue)
        if way == "closed":
            connection.close()
        else:
            connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)
            probe.say(f"lost: {type(_error_of(connection)).__name__}")
        probe.wait_for_count(watcher, queue, 2)
        probe.get(watcher, queue)
        probe.get(watcher, queue)
        probe.tries(f"{way}, consumers", watcher.queue_declare, queue, passive=True)


def _error_of(connection: BlockingConnection) -> Exception | None:
    try:
        wait_until(connection, lambda: connection.is_closed)
    except Exception as error:
        return error
    return None
