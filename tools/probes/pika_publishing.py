"""Publishing: returns, confirms, errors, and the parts of a message that arrive."""

from __future__ import annotations

import datetime
import hashlib
from decimal import Decimal
from typing import Any

from pika import spec
from pika.adapters.blocking_connection import BlockingChannel

from tools.probes.pika_support import Probe, describe_return, scenario, wait_for


@scenario
def mandatory(probe: Probe) -> None:
    """A mandatory message without a queue comes back, with or without confirms."""
    channel = probe.channel()
    returned: list[str] = []
    channel.add_on_return_callback(
        lambda _, method, properties, body: returned.append(describe_return(_Returned(method, properties, body)))
    )
    properties = probe.properties(message_id="m1", headers={"h": 1})
    channel.basic_publish("amq.direct", probe.name("nowhere"), b"one", properties, mandatory=True)
    channel.basic_publish("amq.direct", probe.name("nowhere"), b"not mandatory", properties)
    channel.basic_publish("", probe.name("nowhere"), b"two", mandatory=True)
    wait_for(channel.connection, returned, 2)
    for text in returned:
        probe.say(text)
    channel = probe.channel()
    channel.confirm_delivery()
    probe.tries("confirmed", channel.basic_publish, "", probe.name("nowhere"), b"m", mandatory=True)
    probe.tries("not mandatory", channel.basic_publish, "", probe.name("nowhere"), b"m")


class _Returned:
    def __init__(self, method: Any, properties: Any, body: bytes) -> None:
        self.method, self.properties, self.body = method, properties, body


@scenario
def immediate(probe: Probe) -> None:
    """Immediate delivery is not offered."""
    channel = probe.channel()
    queue = probe.queue(channel)
    method = spec.Basic.Publish(exchange="", routing_key=queue, immediate=True)
    channel._impl._send_method(method, (probe.properties(), b"m"))
    probe.tries("immediate", channel.exchange_declare, "amq.direct", passive=True)


@scenario
def publish_refused(probe: Probe) -> None:
    """Messages that end the channel."""
    channel = probe.channel()
    queue = probe.queue(channel)
    probe.tries("missing exchange", channel.basic_publish, probe.name("missing"), "k", b"m")
    channel = probe.channel()
    channel.confirm_delivery()
    probe.tries("missing exchange, confirmed", channel.basic_publish, probe.name("missing"), "k", b"m")
    channel = probe.channel()
    probe.tries("missing exchange, mandatory", channel.basic_publish, probe.name("missing"), "k", b"m", mandatory=True)
    for name in ("guest", "somebody", ""):
        properties = probe.properties(user_id=name)
        probe.tries(f"user_id {name!r}", probe.channel().basic_publish, "", queue, b"m", properties)
    for expiration in ("1000", "0", "-1", "soon", "", "1.5", " 10", "10 ", "+10", "4294967296", "99999999999999999999"):
        properties = probe.properties(expiration=expiration)
        probe.tries(f"expiration {expiration!r}", probe.channel().basic_publish, "", queue, b"m", properties)
    for mode in (0, 1, 2, 3):
        properties = probe.properties(delivery_mode=mode)
        probe.tries(f"delivery_mode {mode}", probe.channel().basic_publish, "", queue, b"m", properties)
    for priority in (0, 255):
        properties = probe.properties(priority=priority)
        probe.tries(f"priority {priority}", probe.channel().basic_publish, "", queue, b"m", properties)


@scenario
def after_a_refusal(probe: Probe) -> None:
    """Messages before the one that ends the channel arrive; later ones do not."""
    channel, other = probe.channel(), probe.channel()
    queue = probe.queue(other)
    publish = channel._impl.basic_publish  # without reading in between, as the blocking one does
    publish("", queue, b"before")
    publish(probe.name("missing"), "k", b"refused")
    publish("", queue, b"after")
    probe.tries("the channel", channel.exchange_declare, "amq.direct", passive=True)
    probe.wait_for_count(other, queue, 1)
    probe.say(f"arrived: {probe.drain(other, queue)}")


def _confirming(probe: Probe, events: list[str]) -> BlockingChannel:
    """A channel in confirm mode that records returns and confirms in order; pika would wait for each."""
    channel = probe.channel()
    selected: list[Any] = []
    settled: set[int] = set()

    def on_confirm(frame: Any) -> None:
        tag = frame.method.delivery_tag
        new = set(range(1, tag + 1) if frame.method.multiple else [tag]) - settled
        settled.update(new)
        events.extend(f"{frame.method.NAME} {number}" for number in sorted(new))

    channel._impl.confirm_delivery(on_confirm, selected.append)
    channel._impl.add_on_return_callback(lambda _, method, __, body: events.append(f"Basic.Return {body!r}"))
    wait_for(channel.connection, selected, 1)
    return channel


@scenario
def confirms(probe: Probe) -> None:
    """Confirms are counted from the channel's first message after confirm.select, each given once."""
    events: list[str] = []
    channel = _confirming(probe, events)
    queue = probe.queue(channel)
    for number in range(3):
        channel.basic_publish("", queue, b"m")
        wait_for(channel.connection, events, number + 1)
    probe.say(f"one by one: {events}")
    for _ in range(20):
        channel.basic_publish("", queue, b"m")
    wait_for(channel.connection, events, 23)
    probe.say(f"in a row: {sorted(events)}")
    probe.wait_for_count(probe.channel(), queue, 23)


@scenario
def confirms_after_messages(probe: Probe) -> None:
    """Messages before confirm.select are not confirmed."""
    events: list[str] = []
    channel = probe.channel()
    queue = probe.queue(channel)
    channel.basic_publish("", queue, b"before")
    channel._impl.confirm_delivery(lambda frame: events.append(f"{frame.method}"), lambda frame: None)
    channel.basic_publish("", queue, b"after")
    wait_for(channel.connection, events, 1)
    probe.say(f"{events}")


@scenario
def return_before_ack(probe: Probe) -> None:
    """A message is returned before it is confirmed."""
    events: list[str] = []
    channel = _confirming(probe, events)
    for number in range(3):
        channel.basic_publish("", probe.name("nowhere"), b"%d" % number, mandatory=True)
        wait_for(channel.connection, events, 2 * number + 2)
    probe.say(", ".join(events))


@scenario
def nacks(probe: Probe) -> None:
    """A full queue that refuses has messages nacked, each by its number."""
    events: list[str] = []
    channel = _confirming(probe, events)
    queue = probe.queue(channel, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    for number in range(3):
        channel.basic_publish("", queue, b"m")
        wait_for(channel.connection, events, number + 1)
    probe.say(", ".join(events))


@scenario
def bodies(probe: Probe) -> None:
    """Bodies of no byte, of a frame less and more, and of many frames."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    for size in (0, 1, 131064, 131063, 131065, 262128, 1000000, 5000000):
        body = bytes(number % 251 for number in range(1000)) * (size // 1000 + 1)
        probe.publish(channel, "", queue, body[:size])
        _, _, received = channel.basic_get(queue, auto_ack=True)
        same = hashlib.sha256(received or b"").digest() == hashlib.sha256(body[:size]).digest()
        probe.say(f"{size} bytes: {len(received or b'')} received, the same={same}")


@scenario
def properties(probe: Probe) -> None:
    """All properties arrive as they were sent."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    probe.publish(channel, "", queue, b"none")
    probe.get(channel, queue)
    every: dict[str, Any] = {
        "content_type": "text/plain",
        "content_encoding": "utf-8",
        "headers": {"h": "v"},
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
        "cluster_id": "cluster",
    }
    probe.publish(channel, "", queue, b"all", **every)
    probe.get(channel, queue)
    for name, value in every.items():
        probe.publish(channel, "", queue, name.encode(), **{name: value})
        probe.get(channel, queue)
    empty = dict.fromkeys(("content_type", "correlation_id", "reply_to", "message_id", "type", "app_id"), "")
    probe.publish(channel, "", queue, b"empty", headers={}, timestamp=0, priority=0, **empty)
    probe.get(channel, queue)
    probe.publish(channel, "", queue, b"longest", correlation_id="c" * 255, message_id="ü" * 127)
    probe.get(channel, queue)


@scenario
def header_types(probe: Probe) -> None:
    """Values of all types that pika knows arrive as they were sent."""
    channel = probe.channel()
    channel.confirm_delivery()
    queue = probe.queue(channel)
    values: dict[str, Any] = {
        "true": True,
        "false": False,
        "small": 5,
        "negative": -5,
        "int": 2**31 - 1,
        "long": 2**31,
        "longest": 2**63 - 1,
        "least": -(2**63),
        "string": "strüng",
        "empty": "",
        "bytes": b"\x00\xff",
        "void": None,
        "decimal": Decimal("3.14"),
        "timestamp": datetime.datetime(2024, 1, 2, 3, 4, 5),
        "table": {"a": {"b": {"c": 1}}, "empty": {}},
        "array": [1, "two", [3, {"four": None}], []],
        "nested time": [datetime.datetime(2024, 1, 2)],
    }
    for name, value in values.items():
        probe.publish(channel, "", queue, b"m", headers={name: value})
        probe.get(channel, queue)
    probe.publish(channel, "", queue, b"m", headers=values)
    probe.get(channel, queue)
    probe.publish(channel, "", queue, b"m", headers={"k" * 255: 1, "": 2, "ü": 3})
    probe.get(channel, queue)
    many = {f"h{number}": "v" * 100 for number in range(300)}
    probe.publish(channel, "", queue, b"m", headers=many)
    _, received, _ = channel.basic_get(queue, auto_ack=True)
    probe.say(f"300 headers arrive: {received.headers == many}")
