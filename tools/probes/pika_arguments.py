"""Queues' arguments: those that are taken, those that are not, and those that differ from the queue's."""

from __future__ import annotations

from typing import Any

from tools.probes.pika_support import Probe, scenario


@scenario
def queue_inequivalent(probe: Probe) -> None:
    """Declared again with another property or argument."""
    name = probe.name("q")
    probe.channel().queue_declare(name)
    for changes in ({"durable": True}, {"auto_delete": True}, {"exclusive": True}):
        probe.tries(str(changes), probe.channel().queue_declare, name, **changes)
    arguments: dict[str, Any]
    for arguments in (
        {"x-message-ttl": 1000},
        {"x-expires": 60000},
        {"x-max-length": 5},
        {"x-max-priority": 5},
        {"x-dead-letter-exchange": ""},
        {"x-something": "else"},
        {"x-queue-mode": "lazy"},
        {"x-queue-type": "classic"},
        {"x-overflow": "drop-head"},
    ):
        probe.tries(str(arguments), probe.channel().queue_declare, name, arguments=arguments)


@scenario
def queue_inequivalent_arguments(probe: Probe) -> None:
    """Declared again with another value of an argument, or without it."""
    cases: list[tuple[str, Any, Any]] = [
        ("x-message-ttl", 1000, 2000),
        ("x-message-ttl", 1000, "1000"),
        ("x-message-ttl", 1000, 2**40),
        ("x-expires", 60000, 70000),
        ("x-max-length", 5, 6),
        ("x-max-length-bytes", 500, 600),
        ("x-max-priority", 5, 6),
        ("x-overflow", "reject-publish", "drop-head"),
        ("x-dead-letter-exchange", "here", "there"),
        ("x-single-active-consumer", True, False),
    ]
    for name, first, second in cases:
        queue = probe.name("q")
        channel = probe.channel()
        channel.queue_declare(queue, arguments={name: first})
        probe.tries(f"{name} equal", channel.queue_declare, queue, arguments={name: first})
        probe.tries(f"{name} {second!r}", probe.channel().queue_declare, queue, arguments={name: second})
        probe.tries(f"{name} left out", probe.channel().queue_declare, queue)
        probe.channel().queue_delete(queue)
    queue = probe.name("q")
    arguments: dict[str, Any] = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "k"}
    probe.channel().queue_declare(queue, arguments=arguments)
    other = {**arguments, "x-dead-letter-routing-key": "l"}
    probe.tries("x-dead-letter-routing-key", probe.channel().queue_declare, queue, arguments=other)
    other = {**arguments, "x-message-ttl": 1, "x-unknown": 1}
    probe.tries("two more", probe.channel().queue_declare, queue, arguments=other)


@scenario
def queue_arguments_valid(probe: Probe) -> None:
    """Arguments at the edge of the allowed ranges."""
    many: list[dict[str, Any]] = [
        {"x-message-ttl": 0},
        {"x-message-ttl": 4294967295},
        {"x-expires": 1000},
        {"x-max-length": 0},
        {"x-max-length-bytes": 0},
        {"x-max-priority": 0},
        {"x-max-priority": 1},
        {"x-max-priority": 255},
        {"x-overflow": "drop-head"},
        {"x-overflow": "reject-publish"},
        {"x-overflow": "reject-publish-dlx"},
        {"x-dead-letter-exchange": ""},
        {"x-dead-letter-exchange": "missing"},
        {"x-dead-letter-exchange": "missing", "x-dead-letter-routing-key": ""},
        {"x-queue-mode": "default"},
        {"x-queue-type": "classic"},
        {"x-single-active-consumer": True},
        {"x-unknown": "anything"},
        {"unknown": {"a": [1]}},
        {"x-consumer-timeout": 100000},
    ]
    for arguments in many:
        probe.tries(str(arguments), probe.channel().queue_declare, probe.name("q"), arguments=arguments)
        probe.channel().queue_delete(probe.name("q"))


@scenario
def queue_arguments_invalid(probe: Probe) -> None:
    """Arguments beyond the allowed ranges."""
    cases: list[tuple[str, list[Any]]] = [
        ("x-message-ttl", [-1, "1000", True, None, 315360000000, 315360000001, 2**62, [1]]),
        ("x-expires", [0, -1, "1000", 315360000000, 315360000001, True]),
        ("x-max-length", [-1, "5", True]),
        ("x-max-length-bytes", [-1, "5"]),
        ("x-max-priority", [-1, 256, "5", True]),
        ("x-overflow", ["drop-tail", "", 5, True]),
        ("x-dead-letter-exchange", [5, True, None]),
        ("x-dead-letter-routing-key", ["k", 5]),
        ("x-single-active-consumer", ["yes", 1]),
        ("x-queue-type", ["unheard-of", 5]),
        ("x-queue-mode", ["unheard-of", 5]),
    ]
    for name, values in cases:
        for value in values:
            arguments = {name: value}
            probe.tries(str(arguments), probe.channel().queue_declare, probe.name("q"), arguments=arguments)
            probe.channel().queue_delete(probe.name("q"))
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": 5}
    probe.tries(str(arguments), probe.channel().queue_declare, probe.name("q"), arguments=arguments)
    arguments = {"x-message-ttl": -1, "x-max-length": -1}
    probe.tries("two are wrong", probe.channel().queue_declare, probe.name("q"), arguments=arguments)
