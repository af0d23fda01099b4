"""Input that pika itself would never send: wrong handshakes, frames, methods and contents."""

from __future__ import annotations

import struct
from collections.abc import Callable

from pika import frame, spec

from tools.probes.pika_raw import BODY, HEADER, HEARTBEAT, LOGIN, METHOD, RawConnection, describe_frame, each
from tools.probes.pika_support import Probe, describe_message, scenario


@scenario
def protocol_headers(probe: Probe) -> None:
    """A client of another protocol gets the broker's protocol header."""
    for header in (
        b"AMQP\x00\x00\x09\x00",
        b"AMQP\x00\x00\x0a\x00",
        b"AMQP\x01\x01\x00\x0a",
        b"AMQP\x09\x09\x09\x09",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ):
        connection = RawConnection(probe, header=header)
        connection.say_next(f"{header!r}")
        connection.say_next(f"{header!r}, then")
        connection.close()


@scenario
def handshake(probe: Probe) -> None:
    """The broker's first words, and those that it does not like to hear."""
    connection = RawConnection(probe)
    start = connection.receive().method
    mechanisms = start.mechanisms.split()
    probe.say(f"start {start.version_major}.{start.version_minor} {start.locales!r} PLAIN={b'PLAIN' in mechanisms}")
    connection.method(0, LOGIN)
    tune = connection.receive().method
    probe.say(f"tune channel_max={tune.channel_max} frame_max={tune.frame_max} heartbeat={tune.heartbeat}")
    connection.close()
    refused = {
        "unknown mechanism": spec.Connection.StartOk({}, "TELEPATHY", b"", "en_US"),
        "wrong password, no capability": spec.Connection.StartOk({}, "PLAIN", b"\x00guest\x00wrong", "en_US"),
        "response without names": spec.Connection.StartOk({}, "PLAIN", b"guest", "en_US"),
        "tune-ok too early": spec.Connection.TuneOk(0, 0, 0),
        "open too early": spec.Connection.Open("/"),
        "channel too early": spec.Channel.Open(),
    }
    connections = {what: RawConnection(probe) for what in refused}
    for what, method in refused.items():
        connections[what].receive()
        connections[what].method(1 if what == "channel too early" else 0, method)
    for what, connection in connections.items():
        connection.say_next(what)
        connection.close()


@scenario
def tuning(probe: Probe) -> None:
    """Tunings that are allowed, and others."""
    cases = {
        "channel_max 0": (0, 131072, 0),
        "channel_max 65535": (65535, 131072, 0),
        "frame_max 0": (100, 0, 0),
        "frame_max 4096": (100, 4096, 0),
        "frame_max 4095": (100, 4095, 0),
        "frame_max above": (100, 131073, 0),
    }
    connections = {what: RawConnection(probe).tuned(*values) for what, values in cases.items()}
    for what, connection in connections.items():
        connection.method(0, spec.Connection.Open("/"))
        connection.say_next(what)
        connection.close()


@scenario
def virtual_host_twice(probe: Probe) -> None:
    """A connection is opened once."""
    each(
        probe,
        {
            "open twice": lambda to: to.method(0, spec.Connection.Open("/")),
            "start-ok once more": lambda to: to.method(0, LOGIN),
        },
    )


@scenario
def heartbeats(probe: Probe) -> None:
    """A heartbeat comes to a client that wants it; one that is silent is cut off."""
    connection = RawConnection(probe).opened(heartbeat=1)
    received = connection.receive_any()
    probe.say(f"{type(received).__name__} on channel {received.channel_number}")
    connection.say_next("silent")
    connection.close()


@scenario
def channel_numbers(probe: Probe) -> None:
    """Channels that are not open, are open already, or cannot be."""
    each(
        probe,
        {
            "not open": lambda to: to.method(5, spec.Queue.Declare(queue=probe.name("q"))),
            "opened twice": lambda to: to.method(1, spec.Channel.Open()),
            "above the maximum": lambda to: to.method(11, spec.Channel.Open()),
            "channel 0": lambda to: to.method(0, spec.Channel.Open()),
            "queue.declare on channel 0": lambda to: to.method(0, spec.Queue.Declare(queue=probe.name("q"))),
            "connection.close on channel 1": lambda to: to.method(1, spec.Connection.Close(200, "bye", 0, 0)),
            "close-ok of a channel that is not open": lambda to: to.method(6, spec.Channel.CloseOk()),
            "close of a channel that is not open": lambda to: to.method(6, spec.Channel.Close(200, "bye", 0, 0)),
        },
        channel_max=10,
    )


@scenario
def closing_channels(probe: Probe) -> None:
    """After the broker has closed a channel, further frames on it are ignored until its close-ok."""
    connection = RawConnection(probe).opened()
    connection.method(1, spec.Queue.Declare(queue=probe.name("missing"), passive=True))
    connection.say_next("closed")
    connection.method(1, spec.Queue.Declare(queue=probe.name("q")))
    connection.method(1, spec.Channel.CloseOk())
    connection.method(1, spec.Channel.Open())
    connection.say_next("open again")
    connection.method(1, spec.Queue.Declare(queue=probe.name("q"), passive=True))
    connection.say_next("what came between was not done")
    connection.method(1, spec.Channel.Close(200, "bye", 0, 0))
    connection.say_next("close crosses close")
    connection.method(1, spec.Channel.CloseOk())
    connection.method(1, spec.Channel.Close(200, "bye", 0, 0))
    connection.ask()
    connection.say("close after close-ok")


@scenario
def closing_connection(probe: Probe) -> None:
    """A client's close is answered for any reason, and nothing follows."""
    connection = RawConnection(probe).opened()
    connection.method(0, spec.Connection.Close(541, "no reason", 0, 0))
    connection.method(1, spec.Queue.Declare(queue=probe.name("q")))
    connection.say_next("close")
    connection.close()
    probe.tries("what followed was not done", probe.channel().queue_declare, probe.name("q"), passive=True)


@scenario
def broken_frames(probe: Probe) -> None:
    """Frames that are none."""
    each(
        probe,
        {
            "larger than agreed": lambda to: to.send(struct.pack(">BHI", METHOD, 1, 4097)),
            "the largest size that can be declared": lambda to: to.send(struct.pack(">BHI", METHOD, 1, 2**32 - 1)),
            "wrong end": lambda to: to.frame(METHOD, 1, struct.pack(">HH", 20, 20) + b"\x01", end=b"\xcd"),
            "unknown kind": lambda to: to.frame(7, 1, b"what"),
            "unknown kind on channel 0": lambda to: to.frame(4, 0, b""),
            "empty method": lambda to: to.frame(METHOD, 1, b""),
            "half a method's number": lambda to: to.frame(METHOD, 1, b"\x00\x32"),
            "heartbeat on channel 1": lambda to: to.frame(HEARTBEAT, 1, b""),
            "heartbeat with a payload": lambda to: to.frame(HEARTBEAT, 0, b"loud"),
            "protocol header once more": lambda to: to.send(b"AMQP\x00\x00\x09\x01"),
        },
        frame_max=4096,
    )


@scenario
def broken_methods(probe: Probe) -> None:
    """Classes and methods that there are not, that are the broker's to send, or whose arguments do not end."""
    cases: dict[str, tuple[int, int, bytes]] = {
        "unknown class": (99, 10, b""),
        "unknown method": (50, 99, b""),
        "method 0.0": (0, 0, b""),
        "the broker's: queue.declare-ok": (50, 11, b"\x01q" + bytes(8)),
        "the broker's: basic.deliver": (60, 60, b"\x01t" + bytes(8) + b"\x00\x00\x00"),
        "cut short: queue.declare": (50, 10, b"\x00\x00\x05ab"),
        "no arguments: queue.declare": (50, 10, b""),
        "table cut short": (50, 10, b"\x00\x00\x01q\x00\x00\x00\x00\xff"),
        "unknown kind of field": (50, 10, b"\x00\x00\x01q\x00\x00\x00\x00\x03\x01k?"),
        "too many arguments: channel.flow": (20, 20, b"\x01\x01\x01"),
        "access.request": (30, 10, b"\x01/\x1f"),
        "file.qos": (70, 10, bytes(7)),
    }

    def call(class_id: int, method_id: int, arguments: bytes) -> Callable[[RawConnection], None]:
        return lambda to: to.call(1, class_id, method_id, arguments)

    each(probe, {what: call(*method) for what, method in cases.items()})


@scenario
def broken_contents(probe: Probe) -> None:
    """A message is a method, a header of its class, and as many bytes as it says."""
    publish = struct.pack(">HHHBB", 60, 40, 0, 0, 1) + b"k\x00"

    def header(size: int, class_id: int = 60, flags: bytes = b"\x00\x00") -> bytes:
        return struct.pack(">HHQ", class_id, 0, size) + flags

    cases: dict[str, tuple[tuple[int, bytes], ...]] = {
        "header without method": ((HEADER, header(0)),),
        "body without method": ((BODY, b"m"),),
        "body without header": ((METHOD, publish), (BODY, b"m")),
        "method without header": ((METHOD, publish), (METHOD, b"\x00\x14\x00\x14\x01")),
        "method without body": ((METHOD, publish), (HEADER, header(1)), (METHOD, b"\x00\x14\x00\x14\x01")),
        "second header": ((METHOD, publish), (HEADER, header(1)), (HEADER, header(1))),
        "header of another class": ((METHOD, publish), (HEADER, header(1, class_id=50))),
        "more than it says": ((METHOD, publish), (HEADER, header(1)), (BODY, b"mm")),
        "an empty frame of a body": ((METHOD, publish), (HEADER, header(1)), (BODY, b""), (BODY, b"m")),
        "header cut short": ((METHOD, publish), (HEADER, b"\x00\x3c")),
        "properties cut short": ((METHOD, publish), (HEADER, header(0, flags=b"\x80\x00\x05ab"))),
        "properties that there are not": ((METHOD, publish), (HEADER, header(0, flags=b"\x00\x02"))),
        "header after a method without content": (
            (METHOD, b"\x00\x3c\x00\x50" + bytes(8) + b"\x01"),
            (HEADER, header(0)),
        ),
    }

    def send(frames: tuple[tuple[int, bytes], ...]) -> Callable[[RawConnection], None]:
        def do_wrong(to: RawConnection) -> None:
            for kind, payload in frames:
                to.frame(kind, 1, payload)

        return do_wrong

    each(probe, {what: send(frames) for what, frames in cases.items()})


@scenario
def methods_without_answer(probe: Probe) -> None:
    """With nowait there is no answer; a refusal comes all the same."""
    connection = RawConnection(probe).opened()
    queue, exchange = probe.name("q"), probe.name("x")
    connection.method(1, spec.Queue.Declare(queue=queue, nowait=True))
    connection.method(1, spec.Exchange.Declare(exchange=exchange, type="fanout", nowait=True))
    connection.method(1, spec.Queue.Bind(queue=queue, exchange=exchange, nowait=True))
    connection.method(1, spec.Confirm.Select(nowait=True))
    connection.method(1, spec.Basic.Consume(queue=queue, consumer_tag="t", nowait=True))
    connection.method(1, spec.Basic.Publish(exchange=exchange, routing_key="k"))
    connection.send(frame.Header(1, 1, spec.BasicProperties()).marshal() + frame.Body(1, b"m").marshal())
    came = sorted(describe_frame(connection.receive()) for _ in range(4))
    probe.say(f"{came}")
    connection.method(1, spec.Basic.Cancel(consumer_tag="t", nowait=True))
    connection.method(1, spec.Queue.Purge(queue=queue, nowait=True))
    connection.method(1, spec.Exchange.Delete(exchange=exchange, nowait=True))
    connection.method(1, spec.Queue.Delete(queue=queue, nowait=True))
    connection.method(1, spec.Queue.Declare(queue=queue, passive=True, nowait=True))
    connection.say_next("refused")
    connection.close()


@scenario
def field_types(probe: Probe) -> None:
    """How the broker itself writes the numbers and texts of x-death: as letters of their types."""
    connection = RawConnection(probe).opened()
    dead, queue = probe.name("dead"), probe.name("q")
    connection.method(1, spec.Queue.Declare(queue=dead))
    connection.receive()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    connection.method(1, spec.Queue.Declare(queue=queue, arguments=arguments))
    connection.receive()
    connection.method(1, spec.Basic.Consume(queue=dead, no_ack=True, consumer_tag="t"))
    connection.receive()
    connection.method(1, spec.Basic.Publish(routing_key=queue))
    connection.send(frame.Header(1, 0, spec.BasicProperties(expiration="5")).marshal())
    deliver = connection.receive().method
    header = connection.receive()
    probe.say(describe_message(deliver, header.properties, b""))
    for name in (
        b"x-death",
        b"count",
        b"exchange",
        b"original-expiration",
        b"queue",
        b"reason",
        b"routing-keys",
        b"time",
    ):
        after = connection.latest.index(bytes([len(name)]) + name) + 1 + len(name)
        probe.say(f"{name.decode()} is of type {connection.latest[after : after + 1].decode()}")
    connection.close()
