"""Exchanges declared, deleted and bound."""

from __future__ import annotations

from tools.probes.pika_support import Probe, scenario


@scenario
def exchange_types(probe: Probe) -> None:
    """All types, and one that is none."""
    for kind in ("direct", "topic", "fanout", "headers", "x-unheard-of", "", "DIRECT"):
        probe.tries(repr(kind), probe.channel().exchange_declare, probe.name(f"x-{kind}"), kind)


@scenario
def exchange_passive(probe: Probe) -> None:
    """Passive declaration looks at the name only."""
    probe.tries("missing", probe.channel().exchange_declare, probe.name("missing"), passive=True)
    channel = probe.channel()
    name = probe.exchange(channel, "x", "topic", durable=True)
    probe.tries("there", channel.exchange_declare, name, "topic", passive=True)
    probe.tries("there, of another type", channel.exchange_declare, name, "direct", passive=True)
    probe.tries("there, of no type that is known", channel.exchange_declare, name, "none", passive=True)
    probe.tries("amq.topic", channel.exchange_declare, "amq.topic", passive=True)
    probe.tries("the default one", probe.channel().exchange_declare, "", passive=True)


@scenario
def exchange_inequivalent(probe: Probe) -> None:
    """Declared again with another property."""
    name = probe.exchange(probe.channel(), "x", "direct")
    probe.tries("equal", probe.channel().exchange_declare, name, "direct")
    for changes in (
        {"exchange_type": "fanout"},
        {"durable": True},
        {"auto_delete": True},
        {"internal": True},
        {"arguments": {"alternate-exchange": "elsewhere"}},
        {"arguments": {"x-something": 1}},
    ):
        probe.tries(str(changes), probe.channel().exchange_declare, name, **{"exchange_type": "direct", **changes})
    name = probe.exchange(probe.channel(), "ae", "direct", arguments={"alternate-exchange": "here"})
    for arguments in ({"alternate-exchange": "elsewhere"}, {}, {"alternate-exchange": 5}):
        probe.tries(f"{arguments}", probe.channel().exchange_declare, name, "direct", arguments=arguments)


@scenario
def exchange_reserved(probe: Probe) -> None:
    """Names that are the broker's own."""
    probe.tries("declare amq.mine", probe.channel().exchange_declare, "amq.mine", "direct")
    probe.tries("declare amq.direct", probe.channel().exchange_declare, "amq.direct", "direct", durable=True)
    probe.tries("declare amq.direct transient", probe.channel().exchange_declare, "amq.direct", "direct")
    probe.tries("declare amq.direct as topic", probe.channel().exchange_declare, "amq.direct", "topic", durable=True)
    probe.tries("delete amq.direct", probe.channel().exchange_delete, "amq.direct")
    probe.tries("delete amq.missing", probe.channel().exchange_delete, "amq.missing")
    probe.tries("declare the default one", probe.channel().exchange_declare, "", "direct")
    probe.tries("delete the default one", probe.channel().exchange_delete, "")
    probe.tries("passive amq.missing", probe.channel().exchange_declare, "amq.missing", passive=True)
    for name in ("amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "amq.rabbitmq.trace"):
        probe.tries(f"passive {name}", probe.channel().exchange_declare, name, passive=True)


@scenario
def exchange_names(probe: Probe) -> None:
    """Names at the edge of the allowed ones."""
    for label in ("with space", "ümlaut", "new\nline", "a/b:c,d"):
        probe.tries(ascii(label), probe.channel().exchange_declare, probe.name(label), "direct", auto_delete=True)
    name = probe.name("long") + "x" * 200
    name = name[:127]
    probe.tries("127 characters", probe.channel().exchange_declare, name, "direct")
    probe.tries("deleted", probe.channel().exchange_delete, name)


@scenario
def exchange_alternate_invalid(probe: Probe) -> None:
    """An alternate exchange is a name; the exchange need not be there."""
    for value in (5, True, "", "missing", ["list"], None):
        arguments = {"alternate-exchange": value}
        probe.tries(repr(value), probe.channel().exchange_declare, probe.name("x"), "direct", arguments=arguments)
        probe.channel().exchange_delete(probe.name("x"))


@scenario
def exchange_delete(probe: Probe) -> None:
    """Deleting, with and without condition."""
    channel = probe.channel()
    name = probe.exchange(channel, "x", "direct")
    queue = probe.queue(channel)
    channel.queue_bind(queue, name, "k")
    probe.tries("if unused, used", probe.channel().exchange_delete, name, if_unused=True)
    channel.queue_unbind(queue, name, "k")
    probe.tries("if unused, unused", probe.channel().exchange_delete, name, if_unused=True)
    probe.tries("missing", probe.channel().exchange_delete, name)
    probe.tries("missing, if unused", probe.channel().exchange_delete, name, if_unused=True)
    name = probe.exchange(channel, "y", "direct")
    channel.queue_bind(queue, name, "k")
    probe.tries("used", probe.channel().exchange_delete, name)
    probe.tries("gone", probe.channel().exchange_declare, name, passive=True)


@scenario
def exchange_auto_delete(probe: Probe) -> None:
    """An auto-delete exchange goes with its last binding, not before there was one."""
    channel = probe.channel()
    queue = probe.queue(channel)
    name = probe.exchange(channel, "x", "direct", auto_delete=True)
    probe.tries("never bound", channel.exchange_declare, name, passive=True)
    channel.queue_bind(queue, name, "a")
    channel.queue_bind(queue, name, "b")
    channel.queue_unbind(queue, name, "a")
    probe.tries("one binding left", channel.exchange_declare, name, passive=True)
    channel.queue_unbind(queue, name, "b")
    probe.tries("none left", probe.channel().exchange_declare, name, passive=True)
    name = probe.exchange(channel, "y", "direct", auto_delete=True)
    channel.queue_bind(queue, name, "a")
    channel.queue_delete(queue)
    probe.tries("queue deleted", probe.channel().exchange_declare, name, passive=True)
    source = probe.exchange(channel, "source", "fanout", auto_delete=True)
    target = probe.exchange(channel, "target", "fanout", auto_delete=True)
    channel.exchange_bind(target, source)
    channel.exchange_delete(target)
    probe.tries("target deleted", probe.channel().exchange_declare, source, passive=True)
    target = probe.exchange(channel, "target", "fanout", auto_delete=True)
    source = probe.exchange(channel, "source", "fanout")
    channel.exchange_bind(target, source)
    channel.exchange_unbind(target, source)
    probe.tries("a target that was unbound", channel.exchange_declare, target, passive=True)


@scenario
def exchange_internal(probe: Probe) -> None:
    """Only another exchange publishes to an internal exchange."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    inner = probe.exchange(channel, "inner", "fanout", internal=True)
    outer = probe.exchange(channel, "outer", "fanout")
    channel.exchange_bind(inner, outer)
    channel.queue_bind(queue, inner)
    probe.tries("publish to the outer", channel.basic_publish, outer, "k", b"through")
    probe.get(channel, queue)
    probe.tries("publish to the inner", probe.channel().basic_publish, inner, "k", b"refused")


@scenario
def exchange_bindings(probe: Probe) -> None:
    """Exchanges bound to exchanges."""
    channel = probe.channel()
    source = probe.exchange(channel, "source", "topic")
    target = probe.exchange(channel, "target", "fanout")
    missing = probe.name("missing")
    probe.tries("bind", channel.exchange_bind, target, source, "a.*")
    probe.tries("bind again", channel.exchange_bind, target, source, "a.*")
    probe.tries("unbind", channel.exchange_unbind, target, source, "a.*")
    probe.tries("unbind again", channel.exchange_unbind, target, source, "a.*")
    probe.tries("bind to missing source", probe.channel().exchange_bind, target, missing, "k")
    probe.tries("bind missing target", probe.channel().exchange_bind, missing, source, "k")
    probe.tries("bind missing to missing", probe.channel().exchange_bind, missing, missing, "k")
    probe.tries("unbind missing source", probe.channel().exchange_unbind, target, missing, "k")
    probe.tries("unbind missing target", probe.channel().exchange_unbind, missing, source, "k")
    probe.tries("bind to the default one", probe.channel().exchange_bind, target, "", "k")
    probe.tries("bind the default one", probe.channel().exchange_bind, "", source, "k")
    probe.tries("unbind from the default one", probe.channel().exchange_unbind, target, "", "k")
    probe.tries("bind to amq.topic", probe.channel().exchange_bind, target, "amq.topic", "k")
    probe.tries("bind to itself", probe.channel().exchange_bind, source, source, "#")


@scenario
def exchange_binding_routes(probe: Probe) -> None:
    """A message takes all ways through exchanges, and comes once to each queue, also where they form a circle."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    first, second, third = (probe.exchange(channel, name, "topic") for name in ("first", "second", "third"))
    channel.exchange_bind(second, first, "#")
    channel.exchange_bind(third, first, "a.*")
    channel.exchange_bind(first, second, "#")
    channel.queue_bind(queue, second, "a.b")
    channel.queue_bind(queue, third, "a.#")
    for key in ("a.b", "a.c", "b"):
        probe.publish(channel, first, key, b"m")
        probe.say(f"{key}: {probe.drain(channel, queue)}")
