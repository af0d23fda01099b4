"""Shared by the scenarios of the pika probe: names, connections, and observations as text."""

from __future__ import annotations

import datetime
import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import pika
from pika import exceptions, spec
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

PATIENCE = 10.0  # seconds until an event counts as not happening

_VARYING = (
    (re.compile(r"amq\.gen-[\w-]+"), "amq.gen-NAME"),
    (re.compile(r"amq\.ctag-[\w-]+"), "amq.ctag-TAG"),
    (re.compile(r"ctag\d+\.[0-9a-f]+"), "TAG"),
    (re.compile(r"amq\.rabbitmq\.reply-to\.[\w+/=.-]+"), "amq.rabbitmq.reply-to.TOKEN"),
    (re.compile(r"<\d+\.\d+\.\d+>"), "PID"),
)

Scenario = Callable[["Probe"], None]
SCENARIOS: list[Scenario] = []

# The probe prints each error of the broker; pika would log it on standard error as well.
logging.getLogger("pika").setLevel(logging.CRITICAL)


def scenario(function: Scenario) -> Scenario:
    """Have the program run a scenario; its name is the function's."""
    SCENARIOS.append(function)
    return function


class Inbox:
    """The deliveries of a consumer, and whether the broker cancelled it."""

    def __init__(self, connection: BlockingConnection) -> None:
        self._connection = connection
        self.tag = ""
        self.deliveries: list[tuple[Any, Any, bytes]] = []

    def on_message(self, channel: BlockingChannel, method: Any, properties: Any, body: bytes) -> None:
        """Called by pika."""
        self.deliveries.append((method, properties, body))

    def wait(self, count: int) -> list[bytes]:
        """The bodies, as soon as there are `count` of them, or when patience is at an end."""
        wait_until(self._connection, lambda: len(self.deliveries) >= count)
        return self.bodies

    @property
    def bodies(self) -> list[bytes]:
        """The bodies that have come so far, in their order."""
        return [body for _, _, body in self.deliveries]


class Probe:
    """One scenario's view of the broker. All that it names is deleted in the end."""

    def __init__(self, url: str, scenario_name: str) -> None:
        self.url = url
        self._scenario_name = scenario_name
        self._run = f"probe-{secrets.token_hex(6)}."
        self._names: list[str] = []
        self._connections: list[BlockingConnection] = []
        self._close_method: Any = None

    def say(self, text: str) -> None:
        """Print an observation, without the parts that differ from run to run."""
        text = text.replace(self._run, "")
        for pattern, placeholder in _VARYING:
            text = pattern.sub(placeholder, text)
        print(f"{self._scenario_name}: {text}".replace("\n", "\\n"), flush=True)

    def name(self, label: str) -> str:
        """A name for a queue or an exchange that no other run has."""
        name = self._run + label
        if name not in self._names:
            self._names.append(name)
        return name

    def parameters(self, **changes: Any) -> pika.URLParameters:
        """The parameters of the URL, with changes by attribute."""
        parameters = pika.URLParameters(self.url)
        parameters.connection_attempts = 1
        parameters.blocked_connection_timeout = PATIENCE
        parameters.socket_timeout = PATIENCE
        for name, value in changes.items():
            setattr(parameters, name, value)
        return parameters

    def connect(self, **changes: Any) -> BlockingConnection:
        """A new connection, which ends with the scenario."""
        connection = BlockingConnection(self.parameters(**changes))
        connection._impl.callbacks.add(0, spec.Connection.Close, self._note_close)
        self._connections.append(connection)
        return connection

    @property
    def connection(self) -> BlockingConnection:
        """The scenario's latest connection that is open."""
        if not self._connections or not self._connections[-1].is_open:
            return self.connect()
        return self._connections[-1]

    def channel(self, connection: BlockingConnection | None = None, number: int | None = None) -> BlockingChannel:
        """A new channel, on the scenario's connection unless another is given."""
        channel = (connection or self.connection).channel(number)
        channel._impl.add_callback(self._note_close, [spec.Channel.Close])
        return channel

    def queue(self, channel: BlockingChannel, label: str = "q", **arguments: Any) -> str:
        """Declare a queue that goes with its connection; return its name."""
        name = self.name(label)
        channel.queue_declare(name, exclusive=True, arguments=arguments.pop("arguments", None), **arguments)
        return name

    def exchange(self, channel: BlockingChannel, label: str, kind: str, **arguments: Any) -> str:
        """Declare an exchange; return its name."""
        name = self.name(label)
        channel.exchange_declare(name, kind, **arguments)
        return name

    def consume(self, channel: BlockingChannel, queue: str, **arguments: Any) -> Inbox:
        """Begin to consume; say so only when it fails."""
        inbox = Inbox(channel.connection)
        inbox.tag = channel.basic_consume(queue, inbox.on_message, **arguments)
        return inbox

    def tries(self, what: str, call: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call a channel's method and print the answer.

        A method without an answer is followed by one that has an answer, so that a refusal is seen.
        """
        try:
            result = call(*arguments, **keywords)
            channel = getattr(call, "__self__", None)
            if result is None and isinstance(channel, BlockingChannel):
                settle(channel)
        except Exception as error:
            self.say(f"{what}: {self.describe_error(error)}")
            return None
        self.say(f"{what}: {describe(result)}")
        return result

    def publish(self, channel: BlockingChannel, exchange: str, key: str, *bodies: bytes, **properties: Any) -> None:
        """Publish a few bodies; on a channel in confirm mode, each is with its queues when this returns."""
        mandatory = properties.pop("mandatory", False)
        for body in bodies:
            channel.basic_publish(exchange, key, body, pika.BasicProperties(**properties), mandatory=mandatory)

    @staticmethod
    def properties(**properties: Any) -> pika.BasicProperties:
        """A message's properties."""
        return pika.BasicProperties(**properties)

    def get(self, channel: BlockingChannel, queue: str, auto_ack: bool = True) -> Any:
        """Take a message as soon as there is one, and print it; return its delivery tag."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            method, properties, body = channel.basic_get(queue, auto_ack=auto_ack)
            if method is not None:
                self.say(f"got {describe_message(method, properties, body)}")
                return method.delivery_tag
            channel.connection.sleep(0.01)
        self.say(f"got nothing from {queue}")
        return None

    def drain(self, channel: BlockingChannel, queue: str) -> list[bytes]:
        """Take all messages of a queue, and return the bodies."""
        bodies = []
        while (message := channel.basic_get(queue, auto_ack=True))[0] is not None:
            bodies.append(message[2])
        return bodies

    def count(self, channel: BlockingChannel, queue: str) -> int:
        """How many messages are ready in a queue."""
        return int(channel.queue_declare(queue, passive=True).method.message_count)

    def wait_for_count(self, channel: BlockingChannel, queue: str, count: int) -> None:
        """Wait until as many messages are ready, and say how many are."""
        wait_until(channel.connection, lambda: self.count(channel, queue) == count)
        self.say(f"{queue} has {self.count(channel, queue)} ready")

    def describe_error(self, error: BaseException) -> str:
        """The broker's answer in an exception of pika's."""
        if isinstance(error, exceptions.UnroutableError):
            return ", ".join(map(describe_return, error.messages))
        if isinstance(error, exceptions.NackError):
            return "nacked"
        if isinstance(error, exceptions.ChannelClosedByBroker):
            return f"channel closed {error.reply_code} {error.reply_text}{self._method_at_fault()}"
        if isinstance(error, exceptions.ConnectionClosedByBroker):
            return f"connection closed {error.reply_code} {error.reply_text}{self._method_at_fault()}"
        return f"{type(error).__name__} {error}"

    def clean_up(self) -> None:
        """Close the connections, then delete the named queues and exchanges."""
        for connection in self._connections:
            if connection.is_open:
                connection.close()
        if not self._names:
            return
        with BlockingConnection(self.parameters()) as connection:
            channel = connection.channel()
            for name in self._names:
                channel.queue_delete(name)
                channel.exchange_delete(name)

    def _note_close(self, *arguments: Any) -> None:
        self._close_method = arguments[-1].method

    def _method_at_fault(self) -> str:
        close, self._close_method = self._close_method, None
        return "" if close is None else f" (method {close.class_id}.{close.method_id})"


def settle(channel: BlockingChannel) -> None:
    """Have the broker answer twice, so that earlier answers have come; raises its errors."""
    for _ in range(2):
        channel.exchange_declare("amq.direct", passive=True)


def wait_until(connection: BlockingConnection, condition: Callable[[], bool]) -> bool:
    """Let a connection work until the condition holds; return whether it does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        connection.process_data_events(0.01)
    return True


def wait_for(connection: BlockingConnection, events: Sequence[Any], count: int) -> bool:
    """Let a connection work until there are so many events; return whether there are."""
    return wait_until(connection, lambda: len(events) >= count)


def fence(channel: BlockingChannel, queue: str) -> None:
    """Have a queue answer twice, so that its deliveries to this channel have come."""
    for _ in range(2):
        channel.queue_declare(queue, passive=True)
    channel.connection.process_data_events(0)


def describe(result: Any) -> str:
    """An answer of the broker's in words."""
    if isinstance(result, tuple) and len(result) == 3:
        return "empty" if result[0] is None else describe_message(*result)
    method = getattr(result, "method", None)
    if method is None:
        return "ok" if result is None else str(result)
    fields = "".join(f" {name}={value!r}" for name, value in sorted(vars(method).items()))
    return f"{method.NAME}{fields}"


def describe_message(method: Any, properties: Any, body: bytes) -> str:
    """A delivery, or a message that was got."""
    count = f" left={method.message_count}" if isinstance(method, spec.Basic.GetOk) else ""
    known = describe_properties(properties)
    return (
        f"{body!r} exchange={method.exchange!r} key={method.routing_key!r} "
        f"redelivered={method.redelivered} tag={method.delivery_tag}{count}{known and ' ' + known}"
    )


def describe_return(returned: Any) -> str:
    """A message that came back."""
    method = returned.method
    return (
        f"returned {method.reply_code} {method.reply_text} exchange={method.exchange!r} "
        f"key={method.routing_key!r} {returned.body!r} {describe_properties(returned.properties)}"
    ).rstrip()


def describe_properties(properties: Any) -> str:
    """The properties that are set, tables in the order of their keys."""
    return " ".join(f"{name}={plain(value)}" for name, value in sorted(vars(properties).items()) if value is not None)


def plain(value: Any) -> str:
    """A field's value, the same on every run."""
    if isinstance(value, dict):
        items = (f"{key}={'TIME' if key == 'time' else plain(item)}" for key, item in sorted(value.items()))
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(plain, value))}]"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return repr(value)
