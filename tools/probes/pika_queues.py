"""Queues declared, bound, purged and deleted."""

from __future__ import annotations

from typing import Any

from tools.probes.pika_support import Probe, scenario, wait_until


@scenario
def queue_declare(probe: Probe) -> None:
    """Declare queues, declare them again, and count their messages."""
    channel = probe.channel()
    name = probe.name("q")
    probe.tries("declared", channel.queue_declare, name)
    probe.tries("again", channel.queue_declare, name)
    channel.confirm_delivery()
    probe.publish(channel, "", name, b"one", b"two")
    probe.consume(probe.channel(), probe.queue(channel, "other"))
    probe.tries("with messages", channel.queue_declare, name)
    probe.tries("with a consumer", channel.queue_declare, probe.name("other"), passive=True)
    probe.tries("passive", channel.queue_declare, name, passive=True)
    probe.tries("passive with other properties", channel.queue_declare, name, passive=True, durable=True)
    probe.tries("passive missing", probe.channel().queue_declare, probe.name("missing"), passive=True)


@scenario
def queue_server_named(probe: Probe) -> None:
    """The broker makes up a name; an empty name then means it."""
    channel = probe.channel()
    probe.tries("no queue yet", probe.channel().queue_declare, "", passive=True)
    probe.tries("bind without one", probe.channel().queue_bind, "", "amq.direct", "k")
    probe.tries("consume without one", probe.channel().basic_consume, "", print)
    probe.tries("purge without one", probe.channel().queue_purge, "")
    probe.tries("delete without one", probe.channel().queue_delete, "")
    probe.tries("get without one", probe.channel().basic_get, "")
    first = probe.tries("first", channel.queue_declare, "", exclusive=True).method.queue
    second = probe.tries("second", channel.queue_declare, "", exclusive=True).method.queue
    probe.say(f"two names: {first != second}")
    channel.confirm_delivery()
    probe.publish(channel, "", second, b"m")
    probe.tries("the last one is meant: get", channel.basic_get, "")
    probe.tries("bind without key", channel.queue_bind, "", "amq.direct")
    probe.tries("publish to its name", channel.basic_publish, "amq.direct", second, b"m", mandatory=True)
    probe.tries("purge", channel.queue_purge, "")
    probe.tries("delete", channel.queue_delete, "")
    probe.tries("after that", channel.queue_purge, "")
    channel = probe.channel()
    channel.queue_declare("", exclusive=True)
    probe.tries("but not for a passive declaration", channel.queue_declare, "", passive=True)


@scenario
def queue_reserved(probe: Probe) -> None:
    """Names that are the broker's own."""
    probe.tries("amq.mine", probe.channel().queue_declare, "amq.mine", exclusive=True)
    probe.tries("amq.", probe.channel().queue_declare, "amq.", exclusive=True)
    probe.tries("amq", probe.channel().queue_declare, "amq", exclusive=True)
    probe.tries("passive amq.mine", probe.channel().queue_declare, "amq.mine", passive=True)
    channel = probe.channel()
    name = channel.queue_declare("", exclusive=True).method.queue
    probe.tries("one that the broker made up, again", channel.queue_declare, name, exclusive=True)
    probe.tries("one that the broker made up, other", probe.channel().queue_declare, name)


@scenario
def queue_exclusive(probe: Probe) -> None:
    """An exclusive queue is its connection's alone, and goes with it."""
    owner = probe.connection
    mine = probe.channel(owner)
    name = probe.queue(mine, "mine")
    other = probe.connect()
    probe.tries("another channel of the owner", probe.channel(owner).queue_declare, name, exclusive=True)
    probe.tries("owner, not exclusive", probe.channel(owner).queue_declare, name)
    probe.tries("declare", probe.channel(other).queue_declare, name, exclusive=True)
    probe.tries("declare not exclusive", probe.channel(other).queue_declare, name)
    probe.tries("passive", probe.channel(other).queue_declare, name, passive=True)
    probe.tries("consume", probe.channel(other).basic_consume, name, print)
    probe.tries("get", probe.channel(other).basic_get, name)
    probe.tries("purge", probe.channel(other).queue_purge, name)
    probe.tries("delete", probe.channel(other).queue_delete, name)
    probe.tries("bind", probe.channel(other).queue_bind, name, "amq.direct", "k")
    probe.tries("unbind", probe.channel(other).queue_unbind, name, "amq.direct", "k")
    channel = probe.channel(other)
    channel.confirm_delivery()
    probe.tries("publish", channel.basic_publish, "", name, b"m", mandatory=True)
    probe.get(mine, name)
    owner.close()
    probe.tries("after the owner's end", lambda: _gone(probe, other, name))


def _gone(probe: Probe, connection: Any, name: str) -> str:
    def gone() -> bool:
        try:
            probe.channel(connection).queue_declare(name, passive=True)
        except Exception as error:
            answers.append(probe.describe_error(error))
            return answers[-1].startswith("channel closed 404")
        return False

    answers: list[str] = []
    wait_until(connection, gone)
    return answers[-1] if answers else "still there"


@scenario
def queue_auto_delete(probe: Probe) -> None:
    """An auto-delete queue goes with its last consumer, not before there was one."""
    channel = probe.channel()
    name = probe.name("q")
    channel.queue_declare(name, auto_delete=True)
    probe.tries("without consumers", channel.queue_declare, name, passive=True)
    first, second = probe.channel(), probe.channel()
    one, two = probe.consume(first, name), probe.consume(second, name)
    first.basic_cancel(one.tag)
    probe.tries("one left", channel.queue_declare, name, passive=True)
    second.basic_cancel(two.tag)
    probe.say(f"none left: {_gone(probe, probe.connection, name)}")
    channel.queue_declare(name, auto_delete=True)
    first = probe.channel()
    probe.consume(first, name)
    first.close()
    probe.say(f"channel closed: {_gone(probe, probe.connection, name)}")
    channel.queue_declare(name, auto_delete=True)
    other = probe.connect()
    probe.consume(probe.channel(other), name)
    other.close()
    probe.say(f"connection closed: {_gone(probe, probe.connection, name)}")


@scenario
def queue_purge(probe: Probe) -> None:
    """Purging counts the ready messages, and leaves the unacked ones."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.tries("empty", channel.queue_purge, queue)
    probe.publish(channel, "", queue, b"1", b"2", b"3")
    probe.get(channel, queue, auto_ack=False)
    probe.tries("two ready, one unsettled", channel.queue_purge, queue)
    channel.basic_nack(1)
    probe.wait_for_count(channel, queue, 1)
    probe.tries("missing", probe.channel().queue_purge, probe.name("missing"))


@scenario
def queue_delete(probe: Probe) -> None:
    """Deleting, with and without condition."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, b"1", b"2")
    inbox = probe.consume(channel, probe.queue(channel, "used"))
    used = probe.name("used")
    probe.tries("if empty, not empty", probe.channel().queue_delete, queue, if_empty=True)
    probe.tries("if unused, used", probe.channel().queue_delete, used, if_unused=True)
    probe.tries("if unused, unused", probe.channel().queue_delete, queue, if_unused=True)
    channel.basic_cancel(inbox.tag)
    probe.tries("if both", probe.channel().queue_delete, used, if_unused=True, if_empty=True)
    probe.tries("missing", probe.channel().queue_delete, used)
    probe.tries("missing, if both", probe.channel().queue_delete, used, if_unused=True, if_empty=True)
    queue = probe.queue(channel, "both")
    probe.publish(channel, "", queue, b"1")
    probe.consume(probe.channel(), queue)
    probe.wait_for_count(channel, queue, 0)
    probe.tries("unsettled only, if empty", probe.channel().queue_delete, queue, if_empty=True)


@scenario
def queue_bind(probe: Probe) -> None:
    """Bindings to existing and to missing exchanges."""
    channel = probe.channel()
    queue, exchange = probe.queue(channel), probe.exchange(channel, "x", "direct")
    missing = probe.name("missing")
    probe.tries("bind", channel.queue_bind, queue, exchange, "k")
    probe.tries("bind again", channel.queue_bind, queue, exchange, "k")
    probe.tries("bind with arguments", channel.queue_bind, queue, exchange, "k", arguments={"a": 1})
    probe.tries("unbind", channel.queue_unbind, queue, exchange, "k")
    probe.tries("unbind again", channel.queue_unbind, queue, exchange, "k")
    probe.tries("bind missing queue", probe.channel().queue_bind, missing, exchange, "k")
    probe.tries("bind to missing exchange", probe.channel().queue_bind, queue, missing, "k")
    probe.tries("bind missing to missing", probe.channel().queue_bind, missing, missing, "k")
    probe.tries("unbind missing queue", probe.channel().queue_unbind, missing, exchange, "k")
    probe.tries("unbind missing exchange", probe.channel().queue_unbind, queue, missing, "k")
    probe.tries("bind to the default one", probe.channel().queue_bind, queue, "", "k")
    probe.tries("unbind from the default one", probe.channel().queue_unbind, queue, "", queue)


@scenario
def queue_bind_twice(probe: Probe) -> None:
    """Two bindings of one queue bring a message once; bindings that differ in arguments are two."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue, exchange = probe.queue(channel), probe.exchange(channel, "x", "direct")
    channel.queue_bind(queue, exchange, "k")
    channel.queue_bind(queue, exchange, "k", arguments={"a": 1})
    probe.publish(channel, exchange, "k", b"m")
    probe.say(f"two bindings: {probe.drain(channel, queue)}")
    channel.queue_unbind(queue, exchange, "k")
    probe.publish(channel, exchange, "k", b"m")
    probe.say(f"one unbound: {probe.drain(channel, queue)}")
    channel.queue_unbind(queue, exchange, "k", arguments={"a": 1})
    probe.publish(channel, exchange, "k", b"m")
    probe.say(f"both unbound: {probe.drain(channel, queue)}")


@scenario
def queue_durable(probe: Probe) -> None:
    """A durable queue may be bound to a transient exchange, and be exclusive."""
    channel = probe.channel()
    name = probe.name("durable")
    probe.tries("declare", channel.queue_declare, name, durable=True)
    probe.tries("again transient", probe.channel().queue_declare, name)
    exchange = probe.exchange(channel, "x", "direct")
    probe.tries("bind", channel.queue_bind, name, exchange, "k")
    probe.tries("durable and exclusive", channel.queue_declare, probe.name("both"), durable=True, exclusive=True)


@scenario
def queue_names(probe: Probe) -> None:
    """Names at the edge of the allowed ones."""
    for label in ("with space", "ümlaut", "a/b:c,d"):
        probe.tries(ascii(label), probe.channel().queue_declare, probe.name(label), exclusive=True)
