"""A client's session with the gateway: framed, or by HTTP."""

from __future__ import annotations

from typing import Any

from twisted.python import log

from tests.unit.gateway.gateway_in_memory import GatewayTestCase, framed, request, result
from tests.unit.gateway.test_any_bytes import FRAMED, HTTP

_errors: list[Any] = []
log.addObserver(lambda event: _errors.append(event) if event["isError"] else None)


def one(data: bytes) -> None:
    """Bytes of a stock client end its own connection at most, log no error, and leave no call and no byte in memory."""
    size, is_http, stream = 1 + (data[0] if data else 0), len(data) > 1 and bool(data[1] % 2), data[2:]
    case = GatewayTestCase()
    case.set_up(max_message_size=1000, in_flight=4)
    honest, transport = case.connect()
    hostile, hostile_transport = case.connect(is_http)
    for at in range(0, len(stream), size):
        hostile.dataReceived(stream[at : at + size])
        for published in case.requests():
            if published.properties.reply_to is not None:
                case.caller.reply_bytes(published, b"")
        if hostile_transport.disconnecting:
            break
    honest.dataReceived(framed(request()))
    (published,) = case.requests()
    case.answer(published)
    assert transport.take() == framed(result())
    for protocol in (honest, hostile):
        case.leave(protocol)
    case.caller.wire.confirm(0, multiple=True)
    assert not [call for call in case.caller.subject.pending.calls.values() if not call.operation.oneway]
    assert (case.connections.open, case.connections.buffered) == (set(), 0)
    case.connections.stop()
    case.forwarder.stop()
    assert not _errors, _errors


def seeds() -> dict[str, bytes]:
    """Return a request of each kind."""
    plain = {f"framed-{number}": b"\xff\x00" + sent for number, sent in enumerate(FRAMED) if len(sent) < 500}
    web = {f"http-{number}": b"\xff\x01" + sent for number, sent in enumerate(HTTP) if len(sent) < 500}
    return plain | web
