"""Any bytes of a client: the gateway answers or closes, raises nothing, and keeps nothing when the client is gone."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from thrift.Thrift import TMessageType

from rpc.envelope import CODECS
from tests.unit.gateway.gateway_in_memory import GatewayTestCase, framed, request
from tests.unit.gateway.test_header import header_request, raw_frame
from tests.unit.gateway.test_http import chunked, post
from tests.unit.logs import log_lines

REQUESTS = [request(protocol=protocol) for protocol in CODECS] + [
    request(kind=TMessageType.ONEWAY),
    request("Other:add"),
]

FRAMED = [
    *map(framed, REQUESTS),
    header_request(),
    header_request("compact", {b"rpc-timeout-ms": b"5"}),
    raw_frame(b"", protocol_id=9),
    framed(bytes(3000)),
]

ZIPPED = header_request(zipped=1)
"""Its bytes depend on the version of zlib."""

HTTP = [
    *map(post, REQUESTS),
    chunked(REQUESTS[0], b""),
    b"OPTIONS / HTTP/1.1\r\norigin: https://a\r\n\r\n",
    post(bytes(3000)),
]


def broken(sent: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    """Return requests with some bytes changed, in chunks."""

    def change(data: bytes, changes: list[tuple[int, bytes]], cuts: list[int]) -> list[bytes]:
        for place, new in changes:
            at = place % (len(data) + 1)
            data = data[:at] + new + data[at + len(new) :]
        places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        return [data[begin:end] for begin, end in pairwise(places)]

    changes = st.lists(st.tuples(st.integers(min_value=0), st.binary(max_size=4)), max_size=3)
    joined = st.lists(st.sampled_from(sent) | st.binary(max_size=40), min_size=1, max_size=5).map(b"".join)
    return st.builds(change, joined, changes, st.lists(st.integers(min_value=0), max_size=4))


class AnyBytesTests(GatewayTestCase):
    """Broken requests beside whole ones."""

    def send(self, chunks: list[bytes], http: bool) -> None:
        """Send the chunks, answer the requests that arrive, and leave."""
        self.set_up(max_message_size=1000, in_flight=2)
        lines = log_lines(self)
        protocol, transport = self.connect(http)
        for chunk in chunks:
            protocol.dataReceived(chunk)
            for published in self.requests():
                if published.properties.reply_to is not None:
                    self.caller.reply_bytes(published, b"")
            if transport.disconnecting:
                break
        self.leave(protocol)
        self.caller.wire.confirm(0, multiple=True)
        self.assertEqual((self.connections.open, self.connections.buffered), (set(), 0))
        self.assertEqual([call for call in self.caller.subject.pending.calls.values() if not call.operation.oneway], [])
        self.assertEqual([line for line in lines if "Traceback" in line], [])
        self.connections.stop()
        self.forwarder.stop()

    @given(broken([*FRAMED, ZIPPED]))
    def test_framed(self, chunks: list[bytes]) -> None:
        self.send(chunks, http=False)

    @given(broken(HTTP))
    def test_http(self, chunks: list[bytes]) -> None:
        self.send(chunks, http=True)
