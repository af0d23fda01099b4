"""Shared by the scenarios of py-amqp's probe: connections, and observations as text."""

from __future__ import annotations

import datetime
import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import amqp

PATIENCE = 10.0  # seconds until an event counts as not happening

_VARYING = (
    (re.compile(r"amq\.gen-[\w-]+"), "amq.gen-NAME"),
    (re.compile(r"amq\.ctag-[\w-]+"), "amq.ctag-TAG"),
    (re.compile(r"amq\.rabbitmq\.reply-to\.[\w+/=.-]+"), "amq.rabbitmq.reply-to.TOKEN"),
)

Scenario = Callable[["Probe"], None]
SCENARIOS: list[Scenario] = []


def scenario(function: Scenario) -> Scenario:
    """Have the program run a scenario; its name is the function's."""
    SCENARIOS.append(function)
    return function


class Probe:
    """One scenario's view of the broker. All that it names is deleted in the end."""

    def __init__(self, url: str, scenario_name: str) -> None:
        self._address = urlsplit(url)
        self._scenario_name = scenario_name
        self._run = f"probe-{secrets.token_hex(6)}."
        self._names: list[str] = []
        self._connections: list[amqp.Connection] = []

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

    def connect(self, **changes: Any) -> amqp.Connection:
        """A new connection, which ends with the scenario."""
        options = {
            "host": f"{self._address.hostname}:{self._address.port}",
            "userid": self._address.username,
            "password": self._address.password,
            "connect_timeout": PATIENCE,
            "read_timeout": PATIENCE,
            "write_timeout": PATIENCE,
        }
        connection = amqp.Connection(**{**options, **changes})
        self._connections.append(connection)
        connection.connect()
        return connection

    def channel(self, connection: amqp.Connection | None = None, confirms: bool = False) -> amqp.Channel:
        """A new channel, on the scenario's latest connection unless another is given."""
        if connection is None:
            usable = self._connections and self._connections[-1].connected
            connection = self._connections[-1] if usable else self.connect()
        channel = connection.channel()
        if confirms:
            channel.confirm_select()
        return channel

    def queue(self, channel: amqp.Channel, label: str = "q", **options: Any) -> str:
        """Declare a queue that goes with its connection; return its name."""
        name = self.name(label)
        channel.queue_declare(name, **{"exclusive": True, "auto_delete": False, **options})
        return name

    def tries(self, what: str, call: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call a method and print the answer; a method without answer is given time to fail."""
        try:
            result = call(*arguments, **keywords)
            channel = getattr(call, "__self__", None)
            if _is_unanswered(result) and isinstance(channel, amqp.Channel):
                settle(channel)
                result = None
        except Exception as error:
            self.say(f"{what}: {describe_error(error)}")
            return None
        self.say(f"{what}: {describe(result)}")
        return result

    @staticmethod
    def message(body: str, **properties: Any) -> amqp.Message:
        """A message with properties."""
        return amqp.Message(body, **properties)

    def get(self, channel: amqp.Channel, queue: str, no_ack: bool = True) -> Any:
        """Take a message as soon as there is one, and print it; return it."""
        messages: list[Any] = []

        def got() -> bool:
            message = channel.basic_get(queue, no_ack=no_ack)
            if message is not None:
                messages.append(message)
            return message is not None

        self.say(f"got {describe(messages[0])}" if wait_until(got) else f"got nothing from {queue}")
        return messages[0] if messages else None

    def drain(self, channel: amqp.Channel, queue: str) -> list[Any]:
        """Take all messages of a queue, and return the bodies."""
        bodies = []
        while (message := channel.basic_get(queue, no_ack=True)) is not None:
            bodies.append(message.body)
        return bodies

    def wait_for_count(self, channel: amqp.Channel, queue: str, count: int) -> None:
        """Wait until as many messages are ready, and say how many are."""
        wait_until(lambda: channel.queue_declare(queue, passive=True).message_count == count)
        self.say(f"{queue} has {channel.queue_declare(queue, passive=True).message_count} ready")

    def clean_up(self) -> None:
        """Close the connections, then delete the named queues and exchanges."""
        for connection in self._connections:
            try:
                connection.close()
            except (amqp.AMQPError, OSError):
                connection.collect()
        self._connections.clear()
        channel = self.channel()
        for name in self._names:
            channel.queue_delete(name)
            channel.exchange_delete(name)
        channel.connection.close()


def _is_unanswered(result: Any) -> bool:
    """Whether a method returned when it was written: it gives nothing then, or a promise that is kept already."""
    return result is None or hasattr(result, "then")


def settle(channel: amqp.Channel) -> None:
    """Have the broker answer twice, so that earlier answers have come; raises its errors."""
    for _ in range(2):
        channel.exchange_declare("amq.direct", "direct", passive=True)


def wait_until(condition: Callable[[], bool]) -> bool:
    """Ask until the condition holds; return whether it does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def receive(connection: amqp.Connection, events: Sequence[Any], count: int) -> bool:
    """Have a connection read until there are so many events; return whether there are."""
    deadline = time.monotonic() + PATIENCE
    while len(events) < count:
        if time.monotonic() > deadline:
            return False
        try:
            connection.drain_events(timeout=0.05)
        except TimeoutError:
            continue
    return True


def describe_error(error: BaseException) -> str:
    """The broker's answer in an exception."""
    if isinstance(error, amqp.AMQPError) and error.reply_code:
        kind = "connection" if isinstance(error, amqp.ConnectionError) else "channel"
        return f"{kind} error {error.reply_code} {error.reply_text} (method {error.method_sig}) {type(error).__name__}"
    if isinstance(error, OSError):
        return "connection lost"
    return f"{type(error).__name__} {error}"


def describe(result: Any) -> str:
    """An answer of the broker's in words."""
    if isinstance(result, amqp.Message):
        info = result.delivery_info
        known = " ".join(
            f"{name}={info[name]!r}"
            for name in ("exchange", "routing_key", "redelivered", "message_count")
            if name in info
        )
        return f"{result.body!r} {known} tag={result.delivery_tag} {plain(result.properties)}"
    if hasattr(result, "_asdict"):
        return f"{type(result).__name__} {plain(result._asdict())}"
    return "ok" if result in (None, ()) else plain(result)


def plain(value: Any) -> str:
    """A field's value, the same on every run."""
    if isinstance(value, dict):
        items = (f"{key}={'TIME' if key == 'time' else plain(item)}" for key, item in sorted(value.items()))
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(plain, value))}]"
    return value.isoformat() if isinstance(value, datetime.datetime) else repr(value)
