"""Logging in, exchanges and queues, as py-amqp has them."""

from __future__ import annotations

from typing import Any

from tools.probes.py_amqp_support import Probe, plain, scenario, wait_until


@scenario
def login(probe: Probe) -> None:
    """Right and wrong, by PLAIN; a virtual host that is not there."""
    probe.say(f"guest connected={probe.connect(login_method='PLAIN').connected}")
    probe.tries("wrong password", probe.connect, login_method="PLAIN", password="wrong")
    probe.tries("unknown user", probe.connect, login_method="PLAIN", userid="nobody")
    probe.tries("unknown virtual host", probe.connect, virtual_host="nowhere")


@scenario
def server_properties(probe: Probe) -> None:
    """The broker's capabilities, and the negotiated limits."""
    connection = probe.connect()
    probe.say(plain(connection.server_properties["capabilities"]))
    probe.say(f"channel_max={connection.channel_max} frame_max={connection.frame_max} heartbeat={connection.heartbeat}")
    connection = probe.connect(channel_max=5, frame_max=8192, heartbeat=3)
    probe.say(f"channel_max={connection.channel_max} frame_max={connection.frame_max} heartbeat={connection.heartbeat}")


@scenario
def channels(probe: Probe) -> None:
    """A connection goes on after a channel was closed, from either side."""
    connection = probe.connect()
    channel = probe.channel(connection)
    channel.close()
    channel = probe.channel(connection)
    probe.tries("refused", channel.queue_declare, probe.name("missing"), passive=True)
    channel = probe.channel(connection)
    probe.tries("usable", channel.queue_declare, probe.name("q"), exclusive=True)
    probe.tries("flow", channel.flow, True)
    probe.tries("no flow", channel.flow, False)


@scenario
def exchange_declare(probe: Probe) -> None:
    """Types, and errors."""
    for kind in ("direct", "topic", "fanout", "headers", "unheard-of"):
        probe.tries(kind, probe.channel().exchange_declare, probe.name(f"x-{kind}"), kind, auto_delete=False)
    name = probe.name("x-direct")
    probe.tries("passive", probe.channel().exchange_declare, name, "direct", passive=True)
    probe.tries("passive missing", probe.channel().exchange_declare, probe.name("missing"), "direct", passive=True)
    for changes in ({"type": "topic"}, {"durable": True}, {"auto_delete": True}):
        options = {"type": "direct", "auto_delete": False, **changes}
        probe.tries(str(changes), probe.channel().exchange_declare, name, **options)
    probe.tries("reserved", probe.channel().exchange_declare, "amq.mine", "direct")
    probe.tries("default", probe.channel().exchange_declare, "", "direct")
    arguments = {"alternate-exchange": 5}
    probe.tries(
        "alternate is a number", probe.channel().exchange_declare, probe.name("y"), "direct", arguments=arguments
    )


@scenario
def exchange_delete(probe: Probe) -> None:
    """Deleting exchanges that are used, unused, missing or the broker's own."""
    channel = probe.channel()
    name, queue = probe.name("x"), probe.queue(channel)
    channel.exchange_declare(name, "direct", auto_delete=False)
    channel.queue_bind(queue, name, "k")
    probe.tries("used", probe.channel().exchange_delete, name, if_unused=True)
    channel.queue_unbind(queue, name, "k")
    probe.tries("unused", probe.channel().exchange_delete, name, if_unused=True)
    probe.tries("missing", probe.channel().exchange_delete, name)
    probe.tries("amq.topic", probe.channel().exchange_delete, "amq.topic")


@scenario
def exchange_to_exchange(probe: Probe) -> None:
    """Bound, published through, unbound."""
    channel = probe.channel(confirms=True)
    source, target, queue = probe.name("source"), probe.name("target"), probe.queue(channel)
    channel.exchange_declare(source, "direct", auto_delete=False)
    channel.exchange_declare(target, "fanout", auto_delete=False)
    channel.queue_bind(queue, target)
    probe.tries("bind", channel.exchange_bind, target, source, "k")
    channel.basic_publish(probe.message("through"), source, "k")
    probe.get(channel, queue)
    probe.tries("unbind", channel.exchange_unbind, target, source, "k")
    channel.basic_publish(probe.message("lost"), source, "k")
    probe.say(f"after unbind: {probe.drain(channel, queue)}")
    probe.tries("bind missing", probe.channel().exchange_bind, target, probe.name("missing"), "k")


@scenario
def queue_declare(probe: Probe) -> None:
    """Named, by the broker and by the client; passive; inequivalent."""
    channel = probe.channel()
    probe.tries("by the broker", channel.queue_declare, "", exclusive=True)
    name = probe.name("q")
    probe.tries("by the client", channel.queue_declare, name, auto_delete=False)
    probe.tries("passive", channel.queue_declare, name, passive=True)
    probe.tries("passive missing", probe.channel().queue_declare, probe.name("missing"), passive=True)
    for changes in ({"durable": True}, {"auto_delete": True}, {"exclusive": True}):
        probe.tries(str(changes), probe.channel().queue_declare, name, **{"auto_delete": False, **changes})
    probe.tries("reserved", probe.channel().queue_declare, "amq.mine")
    for label in ("two\nlines", "\rreturn", "ümlaut", "tab\there"):
        probe.tries(ascii(label), probe.channel().queue_declare, probe.name(label), exclusive=True)
    probe.tries("what that made of it", probe.channel().queue_declare, probe.name("twolines"), passive=True)


@scenario
def queue_arguments(probe: Probe) -> None:
    """Numbers and texts in their types, as py-amqp writes them."""
    many: list[dict[str, Any]] = [
        {"x-message-ttl": 1000},
        {"x-message-ttl": -1},
        {"x-message-ttl": "1000"},
        {"x-message-ttl": 1.5},
        {"x-message-ttl": b"bytes"},
        {"x-message-ttl": {"a": 1}},
        {"x-expires": 0},
        {"x-expires": 1.0},
        {"x-max-length": -1},
        {"x-max-length": 2**31},
        {"x-max-length": 1.5},
        {"x-max-length-bytes": "5"},
        {"x-max-priority": 256},
        {"x-max-priority": 0.5},
        {"x-overflow": "bad"},
        {"x-overflow": b"drop-head"},
        {"x-dead-letter-exchange": b"bytes"},
        {"x-dead-letter-exchange": 1.5},
        {"x-dead-letter-routing-key": "k"},
        {"x-single-active-consumer": "true"},
        {"x-queue-type": "unheard-of"},
    ]
    for arguments in many:
        queue = probe.name("q")
        probe.tries(str(arguments), probe.channel().queue_declare, queue, arguments=arguments, auto_delete=False)
        probe.channel().queue_delete(queue)


@scenario
def queue_arguments_again(probe: Probe) -> None:
    """The same number in another type; another number; none."""
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"x-message-ttl": 1000}, {"x-message-ttl": 1000}),
        ({"x-message-ttl": 1000}, {"x-message-ttl": 1001}),
        ({"x-message-ttl": 1000}, {"x-message-ttl": 1000.0}),
        ({"x-message-ttl": 1000}, {}),
        ({}, {"x-message-ttl": 1000}),
        ({}, {"x-max-length": 2**31}),
        ({"x-dead-letter-exchange": "a"}, {"x-dead-letter-exchange": "b"}),
        ({}, {"x-dead-letter-exchange": b"b"}),
        ({}, {"x-max-priority": 5}),
        ({"anything": "a"}, {"anything": "b"}),
    ]
    for first, second in cases:
        queue = probe.name("q")
        probe.channel().queue_declare(queue, arguments=first, auto_delete=False)
        probe.tries(f"{first} {second}", probe.channel().queue_declare, queue, arguments=second, auto_delete=False)
        probe.channel().queue_delete(queue)


@scenario
def queue_exclusive(probe: Probe) -> None:
    """Another connection may not, until the owner has gone."""
    owner, other = probe.connect(), probe.connect()
    name = probe.queue(probe.channel(owner))
    for method in ("queue_declare", "queue_purge", "queue_delete", "basic_get", "basic_consume"):
        probe.tries(method, getattr(probe.channel(other), method), name)
    owner.close()
    probe.say(f"later: {wait_until(lambda: _can_declare(probe, other, name))}")


def _can_declare(probe: Probe, connection: Any, name: str) -> bool:
    try:
        probe.channel(connection).queue_declare(name, exclusive=True)
    except Exception:
        return False
    return True


@scenario
def queue_delete(probe: Probe) -> None:
    """With conditions, and how many messages went."""
    channel = probe.channel(confirms=True)
    queue = probe.queue(channel)
    for body in ("1", "2", "3"):
        channel.basic_publish(probe.message(body), "", queue)
    probe.tries("not empty", probe.channel().queue_delete, queue, if_empty=True)
    probe.tries("purge", channel.queue_purge, queue)
    channel.basic_publish(probe.message("4"), "", queue)
    consumer = probe.channel()
    consumer.basic_qos(0, 1, False)
    tag = consumer.basic_consume(queue, callback=plain)
    probe.tries("used", probe.channel().queue_delete, queue, if_unused=True)
    consumer.basic_cancel(tag)
    consumer.close()
    probe.wait_for_count(channel, queue, 1)
    probe.tries("unused", channel.queue_delete, queue, if_unused=True)
    probe.tries("missing", channel.queue_delete, queue)
    probe.tries("purge missing", probe.channel().queue_purge, queue)


@scenario
def queue_bindings(probe: Probe) -> None:
    """Missing queues and exchanges, and bindings with arguments."""
    channel = probe.channel(confirms=True)
    exchange, queue, missing = probe.name("x"), probe.queue(channel), probe.name("missing")
    channel.exchange_declare(exchange, "headers", auto_delete=False)
    probe.tries("queue missing", probe.channel().queue_bind, missing, exchange, "k")
    probe.tries("exchange missing", probe.channel().queue_bind, queue, missing, "k")
    probe.tries("unbind, never bound", probe.channel().queue_unbind, queue, exchange, "k")
    arguments: dict[str, Any]
    for arguments in ({"x-match": "all", "a": 1}, {"x-match": "any", "a": 1.5}, {"x-match": "all", "a": b"b"}):
        probe.tries(f"bind {arguments}", channel.queue_bind, queue, exchange, "", arguments=arguments)
        for value in (1, 1.0, 1.5, True, "b", b"b", "1"):
            message = probe.message("m", application_headers={"a": value})
            channel.basic_publish(message, exchange, "")
            probe.say(f"{value!r}: {len(probe.drain(channel, queue))}")
        channel.queue_unbind(queue, exchange, "", arguments=arguments)
