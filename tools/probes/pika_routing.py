"""Where messages go: the exchange types, CC and BCC, alternate exchanges."""

from __future__ import annotations

from typing import Any

from pika.adapters.blocking_connection import BlockingChannel

from tools.probes.pika_support import Probe, scenario


def _routes(
    probe: Probe, channel: BlockingChannel, exchange: str, queues: dict[str, str], key: str, **more: Any
) -> str:
    """The labels of the queues that a message comes to."""
    probe.publish(channel, exchange, key, b"m", **more)
    return " ".join(repr(label) for label, queue in queues.items() if probe.drain(channel, queue)) or "nowhere"


def _bound(probe: Probe, channel: BlockingChannel, exchange: str, keys: tuple[str, ...]) -> dict[str, str]:
    queues = {}
    for number, key in enumerate(keys):
        queues[key] = probe.queue(channel, f"q{number}")
        channel.queue_bind(queues[key], exchange, key)
    return queues


@scenario
def direct_routing(probe: Probe) -> None:
    """Keys are compared as they are."""
    channel = probe.channel()
    channel.confirm_delivery()
    exchange = probe.exchange(channel, "x", "direct")
    queues = _bound(probe, channel, exchange, ("a", "A", "", "a.b", "#", "*"))
    for key in ("a", "A", "", "a.b", "#", "*", "b"):
        probe.say(f"{key!r}: {_routes(probe, channel, exchange, queues, key)}")


@scenario
def fanout_routing(probe: Probe) -> None:
    """Keys do not matter."""
    channel = probe.channel()
    channel.confirm_delivery()
    exchange = probe.exchange(channel, "x", "fanout")
    queues = _bound(probe, channel, exchange, ("a", "b"))
    for key in ("a", "", "c"):
        probe.say(f"{key!r}: {_routes(probe, channel, exchange, queues, key)}")


@scenario
def topic_routing(probe: Probe) -> None:
    """A star is one word, a hash any number of them."""
    channel = probe.channel()
    channel.confirm_delivery()
    exchange = probe.exchange(channel, "x", "topic")
    patterns = (
        *("#", "*", "", "a", "a.*", "a.#", "*.b", "#.b", "a.*.c", "a.#.c", "#.#", "*.*", "#.*", "*.#", "a.b.#"),
        *("a.#.#", "#.b.#", "*.#.*", "a..b", "a*", "#a", ".", "*."),
    )
    queues = _bound(probe, channel, exchange, patterns)
    for key in ("", "a", "b", "a.b", "a.b.c", "a.c", "a.b.b.c", ".", "a.", ".b", "a..b", "*", "#", "a*", "A.B"):
        probe.say(f"{key!r}: {_routes(probe, channel, exchange, queues, key)}")


@scenario
def topic_unbound(probe: Probe) -> None:
    """A pattern that was unbound leads nowhere; others that share its words still lead."""
    channel = probe.channel()
    channel.confirm_delivery()
    exchange = probe.exchange(channel, "x", "topic")
    queues = _bound(probe, channel, exchange, ("a.b", "a.*", "a.#", "#"))
    for pattern in ("a.*", "#", "a.b", "a.#"):
        channel.queue_unbind(queues[pattern], exchange, pattern)
        probe.say(f"without {pattern}: {_routes(probe, channel, exchange, queues, 'a.b')}")


@scenario
def headers_routing(probe: Probe) -> None:
    """All or any of the headers; names that begin with x- count for all-with-x and any-with-x alone."""
    channel = probe.channel()
    channel.confirm_delivery()
    exchange = probe.exchange(channel, "x", "headers")
    bindings: dict[str, dict[str, Any]] = {
        "all": {"x-match": "all", "a": 1, "b": "two"},
        "any": {"x-match": "any", "a": 1, "b": "two"},
        "default": {"a": 1, "b": "two"},
        "all-none": {"x-match": "all"},
        "any-none": {"x-match": "any"},
        "none": {},
        "exists": {"a": None},
        "all-x": {"x-match": "all", "a": 1, "x-b": 2},
        "any-x": {"x-match": "any", "c": 1, "x-b": 2},
        "all-with-x": {"x-match": "all-with-x", "a": 1, "x-b": 2},
        "any-with-x": {"x-match": "any-with-x", "c": 1, "x-b": 2},
        "bool": {"a": True},
        "string": {"a": "1"},
        "table": {"a": {"b": 1}},
        "list": {"a": [1, "x"]},
        "long": {"a": 2**40},
    }
    queues = {}
    for number, (label, arguments) in enumerate(bindings.items()):
        queues[label] = probe.queue(channel, f"q{number}")
        probe.tries(f"bind {label}", channel.queue_bind, queues[label], exchange, "ignored", arguments=arguments)
    many: tuple[dict[str, Any] | None, ...] = (
        None,
        {},
        {"a": 1},
        {"b": "two"},
        {"a": 1, "b": "two"},
        {"a": 1, "b": "two", "c": 3},
        {"a": 1, "x-b": 2},
        {"x-b": 2},
        {"a": True},
        {"a": "1"},
        {"a": 2},
        {"a": None},
        {"a": {"b": 1}},
        {"a": [1, "x"]},
        {"a": 2**40},
        {"A": 1},
    )
    for headers in many:
        probe.say(f"{headers}: {_routes(probe, channel, exchange, queues, 'k', headers=headers)}")


@scenario
def headers_invalid(probe: Probe) -> None:
    """A kind of match that there is not."""
    channel = probe.channel()
    exchange, queue = probe.exchange(channel, "x", "headers"), probe.queue(channel)
    values: tuple[Any, ...] = ("some", "", 5, True, "ALL")
    for value in values:
        probe.tries(repr(value), probe.channel().queue_bind, queue, exchange, "", arguments={"x-match": value})


@scenario
def copies(probe: Probe) -> None:
    """CC and BCC are further routing keys; BCC is removed from the delivered headers."""
    channel = probe.channel()
    channel.confirm_delivery()
    exchange = probe.exchange(channel, "x", "direct")
    queues = _bound(probe, channel, exchange, ("a", "b", "c"))
    many: tuple[dict[str, Any], ...] = (
        {"CC": ["b"]},
        {"CC": ["b", "c"], "other": 1},
        {"BCC": ["b"]},
        {"CC": ["b"], "BCC": ["c"]},
        {"CC": ["a"]},
        {"CC": []},
        {"CC": ["nowhere"]},
    )
    for headers in many:
        probe.publish(channel, exchange, "a", b"m", headers=headers)
        for key, queue in queues.items():
            method, properties, _ = channel.basic_get(queue, auto_ack=True)
            if method is not None:
                probe.say(f"{headers} comes to {key}: key={method.routing_key} headers={properties.headers}")
    mixed: tuple[dict[str, Any], ...] = ({"CC": "b"}, {"BCC": 5}, {"CC": [5]}, {"CC": ["b", 5]}, {"CC": None})
    for headers in mixed:
        channel = probe.channel()
        channel.confirm_delivery()
        probe.tries(f"{headers}", channel.basic_publish, exchange, "a", b"m", probe.properties(headers=headers))
    channel = probe.channel()
    probe.say(f"these came: {[probe.drain(channel, queue) for queue in queues.values()]}")


@scenario
def copies_by_default_exchange(probe: Probe) -> None:
    """The default exchange and a fanout one honour CC as well; a queue has a message once."""
    channel = probe.channel()
    channel.confirm_delivery()
    first, second = probe.queue(channel, "first"), probe.queue(channel, "second")
    probe.publish(channel, "", first, b"m", headers={"CC": [second, first]})
    probe.say(f"{probe.drain(channel, first)} {probe.drain(channel, second)}")
    exchange = probe.exchange(channel, "x", "topic")
    channel.queue_bind(first, exchange, "a.*")
    channel.queue_bind(second, exchange, "b.*")
    probe.publish(channel, exchange, "a.1", b"m", headers={"CC": ["b.1", "a.2"]})
    probe.say(f"topic: {probe.drain(channel, first)} {probe.drain(channel, second)}")


@scenario
def alternate_exchange(probe: Probe) -> None:
    """An unroutable message goes to the alternate exchange, and is returned when that has no queue either."""
    channel = probe.channel()
    channel.confirm_delivery()
    rest = probe.exchange(channel, "rest", "fanout")
    exchange = probe.exchange(channel, "x", "direct", arguments={"alternate-exchange": rest})
    lost = probe.exchange(channel, "lost", "direct", arguments={"alternate-exchange": probe.name("missing")})
    queue, other = probe.queue(channel, "routed"), probe.queue(channel, "other")
    channel.queue_bind(queue, exchange, "k")
    probe.tries("no queue at all", channel.basic_publish, exchange, "l", b"m", mandatory=True)
    channel.queue_bind(other, rest)
    probe.publish(channel, exchange, "k", b"routed", mandatory=True)
    probe.publish(channel, exchange, "l", b"unrouted", mandatory=True)
    probe.get(channel, queue)
    probe.get(channel, other)
    probe.tries("to a missing one", channel.basic_publish, lost, "l", b"m", mandatory=True)
    channel.exchange_declare(probe.name("missing"), "fanout")
    channel.queue_bind(other, probe.name("missing"))
    probe.publish(channel, lost, "l", b"found later", mandatory=True)
    probe.get(channel, other)


@scenario
def alternate_exchange_cycle(probe: Probe) -> None:
    """Two exchanges that are each other's alternate."""
    channel = probe.channel()
    channel.confirm_delivery()
    one, two = probe.name("one"), probe.name("two")
    channel.exchange_declare(one, "direct", arguments={"alternate-exchange": two})
    channel.exchange_declare(two, "direct", arguments={"alternate-exchange": one})
    probe.tries("unrouted", channel.basic_publish, one, "k", b"m", mandatory=True)


@scenario
def default_exchange(probe: Probe) -> None:
    """Each queue is bound to the default exchange by its name."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.tries("its name", channel.basic_publish, "", queue, b"m", mandatory=True)
    probe.get(channel, queue)
    channel.queue_delete(queue)
    probe.tries("deleted", channel.basic_publish, "", queue, b"m", mandatory=True)
    probe.tries("an empty key", channel.basic_publish, "", "", b"m", mandatory=True)
