"""Dead letters: their reasons, their routes, and their headers."""

from __future__ import annotations

from typing import Any

from pika.adapters.blocking_connection import BlockingChannel

from tools.probes.pika_support import Probe, describe_message, scenario


def _to(queue: str, **more: Any) -> dict[str, Any]:
    """Arguments that have a queue's dead letters go to another queue."""
    return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue, **more}


def _confirming(probe: Probe) -> BlockingChannel:
    channel = probe.channel()
    channel.confirm_delivery()
    return channel


@scenario
def dead_by_expiry(probe: Probe) -> None:
    """By the queue's time to live and by the message's own, which is then told in x-death alone."""
    channel = _confirming(probe)
    dead = probe.queue(channel, "dead")
    queue = probe.queue(channel, arguments=_to(dead, **{"x-message-ttl": 20}))
    probe.publish(channel, "", queue, b"queue", message_id="m", headers={"mine": 1})
    probe.get(channel, dead)
    probe.publish(channel, "", queue, b"both", expiration="10")
    probe.get(channel, dead)
    queue = probe.queue(channel, "plain", arguments=_to(dead))
    probe.publish(channel, "", queue, b"message", expiration="10", delivery_mode=2)
    probe.get(channel, dead)
    probe.publish(channel, "", queue, b"zero", expiration="0")
    probe.get(channel, dead)


@scenario
def dead_by_rejection(probe: Probe) -> None:
    """By reject and by nack without requeue."""
    channel = _confirming(probe)
    dead = probe.queue(channel, "dead")
    queue = probe.queue(channel, arguments=_to(dead))
    probe.publish(channel, "", queue, b"1", b"2", b"3", b"4", priority=3, expiration="60000")
    for _ in range(4):
        probe.get(channel, queue, auto_ack=False)
    channel.basic_reject(1, requeue=False)
    probe.get(channel, dead)
    channel.basic_nack(2, requeue=False)
    probe.get(channel, dead)
    channel.basic_nack(4, multiple=True, requeue=False)
    probe.get(channel, dead)
    probe.get(channel, dead)


@scenario
def dead_by_length(probe: Probe) -> None:
    """By a full queue that drops its head, or dead-letters new messages."""
    channel = _confirming(probe)
    dead = probe.queue(channel, "dead")
    queue = probe.queue(channel, arguments=_to(dead, **{"x-max-length": 1}))
    probe.publish(channel, "", queue, b"1", b"2", b"3")
    probe.get(channel, dead)
    probe.get(channel, dead)
    queue = probe.queue(
        channel, "refusing", arguments=_to(dead, **{"x-max-length": 1, "x-overflow": "reject-publish-dlx"})
    )
    probe.publish(channel, "", queue, b"kept")
    probe.tries("refused", channel.basic_publish, "", queue, b"refused")
    probe.get(channel, dead)


@scenario
def not_dead(probe: Probe) -> None:
    """A message that is purged, acked, or deleted with its queue is no dead letter."""
    channel = _confirming(probe)
    dead = probe.queue(channel, "dead")
    queue = probe.queue(channel, arguments=_to(dead))
    probe.publish(channel, "", queue, b"purged")
    channel.queue_purge(queue)
    probe.publish(channel, "", queue, b"acked", b"deleted")
    channel.basic_ack(probe.get(channel, queue, auto_ack=False))
    channel.queue_delete(queue)
    queue = probe.queue(channel, arguments=_to(dead))
    probe.publish(channel, "", queue, b"dead")
    channel.basic_reject(probe.get(channel, queue, auto_ack=False), requeue=False)
    probe.get(channel, dead)
    probe.say(f"others: {probe.drain(channel, dead)}")


@scenario
def dead_letter_keys(probe: Probe) -> None:
    """Without a key of the queue's own, a dead letter keeps its keys, CC among them; BCC has been forgotten."""
    channel = _confirming(probe)
    exchange = probe.exchange(channel, "dlx", "topic")
    source = probe.exchange(channel, "source", "fanout")
    dead = probe.queue(channel, "dead")
    channel.queue_bind(dead, exchange, "#")
    for label, arguments in (("kept", {}), ("replaced", {"x-dead-letter-routing-key": "other"})):
        queue = probe.queue(channel, label, arguments={"x-dead-letter-exchange": exchange, **arguments})
        channel.queue_bind(queue, source)
        probe.publish(channel, source, "key", label.encode(), headers={"CC": ["copy"], "BCC": ["blind"]})
        channel.basic_reject(probe.get(channel, queue, auto_ack=False), requeue=False)
        probe.get(channel, dead)
        channel.queue_delete(queue)


@scenario
def dead_letters_copied(probe: Probe) -> None:
    """CC sends a dead letter to further queues; once its key was replaced, CC does no more."""
    channel = _confirming(probe)
    first, second = probe.queue(channel, "first"), probe.queue(channel, "second")
    exchange, source = probe.exchange(channel, "dlx", "direct"), probe.exchange(channel, "source", "fanout")
    channel.queue_bind(first, exchange, "key")
    channel.queue_bind(second, exchange, "copy")
    for label, arguments in (("kept", {}), ("replaced", {"x-dead-letter-routing-key": "key"})):
        queue = probe.queue(channel, label, arguments={"x-dead-letter-exchange": exchange, **arguments})
        channel.queue_bind(queue, source)
        probe.publish(channel, source, "key", label.encode(), headers={"CC": ["copy"]})
        channel.basic_reject(probe.get(channel, queue, auto_ack=False), requeue=False)
        probe.get(channel, first)
        channel.queue_delete(queue)
    probe.say(f"second has {probe.drain(channel, second)}")


@scenario
def dead_letters_nowhere(probe: Probe) -> None:
    """With an exchange that is missing, or leads nowhere, a dead letter is gone."""
    channel = _confirming(probe)
    missing = probe.name("missing")
    queue = probe.queue(channel, arguments={"x-dead-letter-exchange": missing})
    dead = probe.queue(channel, "dead")
    probe.publish(channel, "", queue, b"lost", b"found")
    channel.basic_reject(probe.get(channel, queue, auto_ack=False), requeue=False)
    probe.wait_for_count(channel, queue, 1)
    channel.exchange_declare(missing, "fanout")
    channel.queue_bind(dead, missing)
    channel.basic_reject(probe.get(channel, queue, auto_ack=False), requeue=False)
    probe.get(channel, dead)
    probe.say(f"others: {probe.drain(channel, dead)}")


@scenario
def repeated_deaths(probe: Probe) -> None:
    """A message that dies in a queue again is counted there, and the latest place comes first."""
    channel = _confirming(probe)
    work, pause = probe.name("work"), probe.name("pause")
    channel.queue_declare(work, exclusive=True, arguments=_to(pause))
    channel.queue_declare(pause, exclusive=True, arguments=_to(work, **{"x-message-ttl": 10}))
    probe.publish(channel, "", work, b"m")
    for _ in range(4):
        channel.basic_reject(probe.get(channel, work, auto_ack=False), requeue=False)
    probe.get(channel, work)


@scenario
def several_reasons(probe: Probe) -> None:
    """Deaths for different reasons in one queue are counted apart."""
    channel = _confirming(probe)
    dead, queue = probe.queue(channel, "dead"), probe.name("q")
    channel.queue_declare(queue, exclusive=True, arguments=_to(dead, **{"x-max-length": 1}))
    headers = None
    for way in ("expired", "rejected", "length", "expired"):
        properties = probe.properties(headers=headers, expiration="10" if way == "expired" else None)
        channel.basic_publish("", queue, b"m", properties)
        if way == "rejected":
            channel.basic_reject(probe.get(channel, queue, auto_ack=False), requeue=False)
        if way == "length":
            channel.basic_publish("", queue, b"another")
            channel.basic_get(queue, auto_ack=True)
        probe.wait_for_count(channel, dead, 1)
        method, received, body = channel.basic_get(dead, auto_ack=True)
        headers = received.headers
        probe.say(f"{way}: {describe_message(method, received, body)}")


@scenario
def death_is_forged(probe: Probe) -> None:
    """A publisher may write x-death itself; the broker adds to it, or replaces a value that is no table."""
    channel = _confirming(probe)
    dead = probe.queue(channel, "dead")
    queue = probe.queue(channel, arguments=_to(dead))
    table = {"queue": "elsewhere", "reason": "rejected", "count": 7, "exchange": "x", "routing-keys": ["k"]}
    many: tuple[Any, ...] = ([table], [], "text", [{"queue": "elsewhere"}])
    for value in many:
        probe.publish(channel, "", queue, b"m", headers={"x-death": value, "x-first-death-queue": "mine"})
        channel.basic_reject(probe.get(channel, queue, auto_ack=False), requeue=False)
        probe.get(channel, dead)


@scenario
def dead_letter_cycle(probe: Probe) -> None:
    """A message that comes round to a queue by expiry alone is dropped; by a rejection it goes round again."""
    channel = _confirming(probe)
    one, two = probe.name("one"), probe.name("two")
    watch = probe.queue(channel, "watch", arguments={"x-message-ttl": 300})
    channel.queue_declare(one, exclusive=True, arguments=_to(two, **{"x-message-ttl": 10}))
    channel.queue_declare(two, exclusive=True, arguments=_to(one, **{"x-message-ttl": 10}))
    probe.publish(channel, "", one, b"m")
    probe.publish(channel, "", watch, b"m")
    probe.wait_for_count(channel, watch, 0)
    probe.say(f"left: {probe.count(channel, one)} {probe.count(channel, two)}")


@scenario
def dead_letter_to_itself(probe: Probe) -> None:
    """A queue whose dead letters come to itself gets rejected messages back, not expired ones."""
    channel = _confirming(probe)
    queue = probe.name("q")
    watch = probe.queue(channel, "watch", arguments={"x-message-ttl": 200})
    channel.queue_declare(queue, exclusive=True, arguments=_to(queue))
    probe.publish(channel, "", queue, b"rejected")
    channel.basic_reject(probe.get(channel, queue, auto_ack=False), requeue=False)
    probe.get(channel, queue)
    probe.publish(channel, "", queue, b"expired", expiration="10")
    probe.publish(channel, "", watch, b"m")
    probe.wait_for_count(channel, watch, 0)
    probe.say(f"left: {probe.count(channel, queue)}")
