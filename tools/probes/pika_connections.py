"""Logins, negotiated limits, and channels."""

from __future__ import annotations

import pika

from tools.probes.pika_support import Probe, plain, scenario


@scenario
def login(probe: Probe) -> None:
    """Right and wrong names, passwords and virtual hosts."""
    probe.say(f"guest: open={probe.connect().is_open}")
    for user, password in (("guest", "wrong"), ("nobody", "guest"), ("", ""), ("guest", "")):
        credentials = pika.PlainCredentials(user, password)
        probe.tries(f"{user!r}, {password!r}", probe.connect, credentials=credentials)


@scenario
def virtual_hosts(probe: Probe) -> None:
    """Virtual hosts that are not there."""
    for name in ("nowhere", "", "/nowhere", "a b"):
        probe.tries(repr(name), probe.connect, virtual_host=name)


@scenario
def server_properties(probe: Probe) -> None:
    """The broker's capabilities."""
    properties = probe.connection._impl.server_properties
    probe.say(f"capabilities: {plain(properties['capabilities'])}")
    probe.say(f"names: {sorted(properties)}")


@scenario
def tune(probe: Probe) -> None:
    """The values that are agreed upon: the smaller ones of both sides."""
    for changes in (
        {},
        {"channel_max": 7},
        {"frame_max": 8192},
        {"frame_max": 4096},
        {"heartbeat": 0},
        {"heartbeat": 5},
        {"heartbeat": 600},
    ):
        parameters = probe.connect(**changes)._impl.params
        probe.say(
            f"{changes}: channel_max={parameters.channel_max} frame_max={parameters.frame_max} "
            f"heartbeat={parameters.heartbeat}"
        )


@scenario
def channel_max(probe: Probe) -> None:
    """A channel above the number that was agreed upon."""
    connection = probe.connect(channel_max=3)
    for _ in range(3):
        probe.channel(connection)
    connection._impl.params.channel_max = 100
    probe.tries("the fourth", connection.channel, 4)
    probe.say(f"connection open={connection.is_open}")


@scenario
def channel_reuse(probe: Probe) -> None:
    """A channel's number is used again after it was closed, from either side."""
    connection = probe.connection
    connection.channel(5).close()
    channel = probe.channel(connection, 5)
    probe.say(f"closed by the client: again {channel.channel_number} open={channel.is_open}")
    probe.tries("refused", channel.queue_declare, probe.name("missing"), passive=True)
    channel = connection.channel(5)
    probe.say(f"closed by the broker: again {channel.channel_number} open={channel.is_open}")
    probe.tries("usable", channel.queue_declare, probe.name("q"), exclusive=True)


@scenario
def channel_flow(probe: Probe) -> None:
    """Flow may be asked to go on; to stop it is not offered."""
    channel = probe.channel()
    probe.tries("on", channel.flow, True)
    probe.tries("off", channel.flow, False)


@scenario
def transactions(probe: Probe) -> None:
    """Transactions exclude confirms, and need to be begun."""
    probe.tries("commit without select", probe.channel().tx_commit)
    probe.tries("rollback without select", probe.channel().tx_rollback)
    channel = probe.channel()
    queue = probe.queue(channel)
    probe.tries("select", channel.tx_select)
    channel.basic_publish("", queue, b"one")
    probe.say(f"before commit: {probe.count(channel, queue)}")
    probe.tries("commit", channel.tx_commit)
    probe.wait_for_count(channel, queue, 1)
    channel.basic_publish("", queue, b"two")
    probe.tries("rollback", channel.tx_rollback)
    probe.say(f"after rollback: {probe.count(channel, queue)}")
    probe.tries("confirms in a transaction", channel.confirm_delivery)
    channel = probe.channel()
    channel.confirm_delivery()
    probe.tries("a transaction with confirms", channel.tx_select)
