"""Queues that forget: time to live, expiry, length and overflow; and priorities."""

from __future__ import annotations

from typing import Any

from tools.probes.pika_support import Probe, fence, scenario, wait_until


@scenario
def message_ttl(probe: Probe) -> None:
    """A queue's time to live, a message's, and the smaller one of both."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel, arguments={"x-message-ttl": 50})
    probe.publish(channel, "", queue, b"m")
    probe.wait_for_count(channel, queue, 0)
    probe.publish(channel, "", queue, b"m", expiration="60000")
    probe.wait_for_count(channel, queue, 0)
    queue = probe.queue(channel, "long", arguments={"x-message-ttl": 60000})
    probe.publish(channel, "", queue, b"m", expiration="50")
    probe.wait_for_count(channel, queue, 0)
    queue = probe.queue(channel, "plain")
    probe.publish(channel, "", queue, b"m", expiration="50")
    probe.wait_for_count(channel, queue, 0)


@scenario
def message_ttl_behind(probe: Probe) -> None:
    """A message expires at the head of its queue: behind another it stays, but is not delivered."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    watch = probe.queue(channel, "watch")
    probe.publish(channel, "", queue, b"stays")
    probe.publish(channel, "", queue, b"expires", expiration="1")
    probe.publish(channel, "", queue, b"last")
    probe.publish(channel, "", watch, b"m", expiration="100")
    probe.wait_for_count(channel, watch, 0)
    probe.say(f"both are counted: {probe.count(channel, queue)}")
    probe.get(channel, queue)
    probe.get(channel, queue)
    probe.say(f"left: {probe.count(channel, queue)}")


@scenario
def message_ttl_zero(probe: Probe) -> None:
    """A time to live of zero: to a consumer that waits, or not at all."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel, arguments={"x-message-ttl": 0})
    probe.publish(channel, "", queue, b"nobody waits", mandatory=True)
    probe.say(f"count: {probe.count(channel, queue)}")
    inbox = probe.consume(channel, queue)
    probe.publish(channel, "", queue, b"somebody waits", mandatory=True)
    probe.say(f"consumed: {inbox.wait(1)}")
    plain = probe.queue(channel, "plain")
    probe.publish(channel, "", plain, b"nobody waits", expiration="0")
    probe.say(f"count: {probe.count(channel, plain)}")
    inbox = probe.consume(channel, plain)
    probe.publish(channel, "", plain, b"somebody waits", expiration="0")
    probe.say(f"consumed: {inbox.wait(1)}")


@scenario
def message_ttl_unsettled(probe: Probe) -> None:
    """Unacked messages do not expire; requeued ones do."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel, arguments={"x-message-ttl": 500})
    watch = probe.queue(channel, "watch", arguments={"x-message-ttl": 700})
    probe.publish(channel, "", queue, b"m")
    tag = probe.get(channel, queue, auto_ack=False)
    probe.publish(channel, "", watch, b"m")
    probe.wait_for_count(channel, watch, 0)
    channel.basic_nack(tag, requeue=True)
    fence(channel, queue)
    probe.say(f"count after it was given back: {probe.count(channel, queue)}")


@scenario
def queue_expires(probe: Probe) -> None:
    """An unused queue goes after its time; a consumer keeps it."""
    channel = probe.channel()
    queue, used = probe.name("unused"), probe.name("used")
    channel.queue_declare(queue, arguments={"x-expires": 500})
    channel.queue_declare(used, arguments={"x-expires": 500})
    inbox = probe.consume(channel, used)
    mandatory = probe.channel()
    mandatory.confirm_delivery()

    def gone(name: str) -> bool:
        try:
            mandatory.basic_publish("", name, b"m", mandatory=True)
        except Exception as error:
            return "312" in probe.describe_error(error)
        return False

    probe.say(f"unused is gone: {wait_until(channel.connection, lambda: gone(queue))}")
    probe.say(f"used is gone: {gone(used)}")
    channel.basic_cancel(inbox.tag)
    probe.say(f"no longer used, gone: {wait_until(channel.connection, lambda: gone(used))}")


@scenario
def max_length(probe: Probe) -> None:
    """Of too many messages the oldest go; unacked ones do not count."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel, arguments={"x-max-length": 2})
    probe.publish(channel, "", queue, b"1", b"2", b"3", b"4")
    probe.say(f"count {probe.count(channel, queue)}")
    probe.get(channel, queue, auto_ack=False)
    probe.publish(channel, "", queue, b"5")
    probe.say(f"count {probe.count(channel, queue)}")
    channel.basic_nack(1)
    fence(channel, queue)
    probe.say(f"given back: {probe.drain(channel, queue)}")


@scenario
def max_length_zero(probe: Probe) -> None:
    """A queue of no length holds nothing, but delivers."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel, arguments={"x-max-length": 0})
    probe.publish(channel, "", queue, b"1")
    probe.say(f"count {probe.count(channel, queue)}")
    inbox = probe.consume(channel, queue)
    probe.publish(channel, "", queue, b"2")
    fence(channel, queue)
    probe.say(f"consumed {inbox.bodies}")


@scenario
def max_length_bytes(probe: Probe) -> None:
    """Bytes of bodies count, not of properties; one message that is too large for the queue goes itself."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel, arguments={"x-max-length-bytes": 10})
    probe.publish(channel, "", queue, b"1234", b"5678", b"90", headers={"long": "header" * 10})
    probe.say(f"ten bytes fit: {probe.count(channel, queue)}")
    probe.publish(channel, "", queue, b"x")
    probe.say(f"one more: {probe.drain(channel, queue)}")
    probe.publish(channel, "", queue, b"1", b"12345678901")
    probe.say(f"too large: {probe.drain(channel, queue)}")
    queue = probe.queue(channel, "both", arguments={"x-max-length-bytes": 10, "x-max-length": 2})
    probe.publish(channel, "", queue, b"1", b"2", b"3")
    probe.say(f"by number: {probe.drain(channel, queue)}")
    probe.publish(channel, "", queue, b"123456", b"1234567")
    probe.say(f"by size: {probe.drain(channel, queue)}")


@scenario
def overflow_reject(probe: Probe) -> None:
    """With reject-publish the newest is refused: nacked when confirms are on, dropped when they are not."""
    for overflow in ("reject-publish", "reject-publish-dlx"):
        channel = probe.channel()
        channel.confirm_delivery()
        dead = probe.queue(channel, f"dead-{overflow}")
        arguments: dict[str, Any] = {
            "x-max-length": 2,
            "x-overflow": overflow,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead,
        }
        queue = probe.queue(channel, overflow, arguments=arguments)
        for body in (b"1", b"2", b"3", b"4"):
            probe.tries(f"{overflow} {body!r}", channel.basic_publish, "", queue, body)
        plain = probe.channel()
        plain.basic_publish("", queue, b"unconfirmed")
        fence(plain, queue)
        probe.say(f"{overflow} kept: {probe.drain(channel, queue)}")
        probe.wait_for_count(channel, dead, 3 if overflow == "reject-publish-dlx" else 0)
        probe.say(f"{overflow} dead: {probe.drain(channel, dead)}")
        probe.tries(f"{overflow} with room", channel.basic_publish, "", queue, b"5")


@scenario
def overflow_reject_bytes(probe: Probe) -> None:
    """With reject-publish and a limit in bytes."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel, arguments={"x-max-length-bytes": 10, "x-overflow": "reject-publish"})
    for body in (b"12345678", b"1234", b"1", b"1"):
        probe.tries(f"{body!r}", channel.basic_publish, "", queue, body)
    probe.say(f"kept: {probe.drain(channel, queue)}")


@scenario
def overflow_one_of_two(probe: Probe) -> None:
    """A message to two queues, one of which refuses it."""
    channel = probe.channel()
    channel.confirm_delivery()
    exchange = probe.exchange(channel, "x", "fanout")
    full = probe.queue(channel, "full", arguments={"x-max-length": 0, "x-overflow": "reject-publish"})
    other = probe.queue(channel, "other")
    channel.queue_bind(full, exchange)
    channel.queue_bind(other, exchange)
    probe.tries("publish", channel.basic_publish, exchange, "k", b"m")
    probe.say(f"the other has it: {probe.drain(channel, other)}")


@scenario
def priorities(probe: Probe) -> None:
    """The highest goes first, equals in order; above the queue's highest counts as that, none as zero."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel, arguments={"x-max-priority": 5})
    for priority in (0, 3, 1, 5, 9, 3, 5):
        probe.publish(channel, "", queue, b"p%d" % priority, priority=priority)
    probe.publish(channel, "", queue, b"none")
    tags = [probe.get(channel, queue, auto_ack=False) for _ in range(3)]
    channel.basic_nack(tags[-1], multiple=True)
    fence(channel, queue)
    probe.say(f"given back: {probe.drain(channel, queue)}")
    for priority in (1, 2):
        probe.publish(channel, "", queue, b"p%d" % priority, priority=priority)
    inbox = probe.consume(channel, queue)
    probe.say(f"consumed: {inbox.wait(2)}")


@scenario
def priorities_and_length(probe: Probe) -> None:
    """Of too many messages the lowest priority goes first."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel, arguments={"x-max-priority": 5, "x-max-length": 2})
    for priority in (5, 1, 3, 0):
        probe.publish(channel, "", queue, b"p%d" % priority, priority=priority)
    probe.say(f"kept: {probe.drain(channel, queue)}")
