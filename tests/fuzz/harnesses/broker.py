"""A client's session with the embedded broker."""

from __future__ import annotations

from typing import Any

from twisted.python import log

from rpc.amqp.codec.frames import PROTOCOL_HEADER
from tests.unit.amqp.peer import read_frames
from tests.unit.broker.hostile_case import SERVICE, Honest
from tests.unit.broker.peer import Client, new_broker
from tests.unit.broker.test_hostile_bytes import HANDSHAKE, WORK

_errors: list[Any] = []
log.addObserver(lambda event: _errors.append(event) if event["isError"] else None)


def one(data: bytes) -> None:
    """Bytes of a client end its own connection at most, leave no connection and no consumer, and log no error."""
    size, has_login, stream = 1 + (data[0] if data else 0), len(data) > 1 and data[1] % 2, data[2:]
    broker = new_broker()
    honest = Honest(broker)
    hostile = Client(broker)
    if has_login:
        hostile.feed(*HANDSHAKE)
    hostile.feed(*(stream[at : at + size] for at in range(0, len(stream), size)))
    answer = hostile.raw()
    if answer != PROTOCOL_HEADER:  # the answer to another protocol
        read_frames(answer)
    assert honest.answered()
    clock: Any = broker.clock
    clock.advance(0.5)
    hostile.lose()
    assert honest.answered()
    assert [*broker.connections] == [honest.client.protocol]
    queues = broker.vhosts["/"].queues.values()
    assert all(len(queue.consumers) == (queue.name == SERVICE) for queue in queues)
    assert not _errors, _errors


def seeds() -> dict[str, bytes]:
    """Return a whole session, and each step of one after the login."""
    steps = {f"step-{number}": b"\xff\x01" + step for number, step in enumerate(WORK) if len(step) < 500}
    short = [step for step in WORK if len(step) < 500]
    return steps | {
        "login": b"\x20\x00" + b"".join(HANDSHAKE),
        "work": b"\xff\x01" + b"".join(short),
        "other-protocol": b"\x00\x00GET / HTTP/1.1\r\n\r\n",
    }
