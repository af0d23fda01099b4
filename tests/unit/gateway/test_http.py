"""Clients of HTTP, on a transport in memory."""

from __future__ import annotations

from http.client import HTTPResponse
from io import BytesIO
from typing import Any

from thrift.Thrift import TApplicationException, TMessageType

from rpc.envelope import CODECS
from tests.unit.gateway.gateway_in_memory import GatewayTestCase, exception_in, request, result


class _Socket:
    """A socket from which ``http.client`` reads a response."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> BytesIO:
        """Return the bytes as a file."""
        return BytesIO(self._data)


def post(body: bytes, path: str = "/", **headers: str) -> bytes:
    """Return a request."""
    lines = [f"POST {path} HTTP/1.1", "host: api.example", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(*chunks: bytes) -> bytes:
    """Return a request whose length is not announced."""
    head = b"POST / HTTP/1.1\r\nhost: api.example\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


def responses(data: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Return status, headers and body of responses."""
    found = []
    while data:
        socket: Any = _Socket(data)
        response = HTTPResponse(socket)
        response.begin()
        body = response.read()
        found.append((response.status, {name.lower(): value for name, value in response.getheaders()}, body))
        head, _, _ = data.partition(b"\r\n\r\n")
        data = data[len(head) + 4 + len(body) :]
    return found


class HTTPCase(GatewayTestCase):
    """A gateway with one client."""

    def exchange(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request, answer its call, and return the response."""
        channel, transport = self.connect(http=True)
        channel.dataReceived(sent)
        for published in self.requests():
            self.service = published.properties.type
            self.answer(published)
        (response,) = responses(transport.take())
        self.leave(channel)
        return response


class CallTests(HTTPCase):
    """Messages in bodies."""

    def test_answers_in_the_protocol_of_the_request(self) -> None:
        for each in CODECS:
            for sent in (
                post(request(protocol=each)),
                chunked(request(protocol=each)[:9], request(protocol=each)[9:], b""),
            ):
                status, headers, body = self.exchange(sent)
                self.assertEqual((status, body), (200, result(protocol=each)))
                self.assertEqual(headers["content-type"], "application/x-thrift")
        self.assert_nothing_left()

    def test_the_path_or_the_name_chooses_the_service(self) -> None:
        for path, name, service in (
            ("/", "add", "Calculator"),
            ("/Calculator", "add", "Calculator"),
            ("/Other", "add", "Other"),
            ("/Other/?a=b", "add", "Other"),
            ("/%4fther", "add", "Other"),
            ("/", "Other:add", "Other"),
            ("/Calculator", "Other:add", "Other"),
        ):
            self.assertEqual(self.exchange(post(request(name), path))[2], result())
            self.assertEqual(self.service, f"{service}.add")

    def test_errors_are_exception_messages(self) -> None:
        """Clients take other statuses than 200 for a broken connection."""
        status, _, body = self.exchange(post(request(), "/Secret"))
        self.assertEqual((status, exception_in(body)[2]), (200, TApplicationException.UNKNOWN_METHOD))
        channel, transport = self.connect(http=True)
        channel.dataReceived(post(request()))
        self.caller.wire.give_back(self.requests()[0])
        ((status, _, body),) = responses(transport.take())
        self.assertEqual((status, exception_in(body)[3].partition(":")[0]), (200, "ServiceUnavailable"))

    def test_a_oneway_call_is_answered_when_the_broker_has_it(self) -> None:
        channel, transport = self.connect(http=True)
        channel.dataReceived(post(request(kind=TMessageType.ONEWAY)))
        self.assertEqual(transport.take(), b"")
        self.caller.wire.confirm(1)
        ((status, _, body),) = responses(transport.take())
        self.assertEqual((status, body), (200, b""))

    def test_a_oneway_call_that_is_lost_has_another_status(self) -> None:
        channel, transport = self.connect(http=True)
        channel.dataReceived(post(request(kind=TMessageType.ONEWAY)))
        self.caller.wire.give_back(self.requests()[0])
        ((status, _, body),) = responses(transport.take())
        self.assertEqual(status, 503)
        self.assertIn(b"ServiceUnavailable", body)

    def test_a_client_may_ask_for_a_shorter_time(self) -> None:
        channel, _ = self.connect(http=True)
        channel.dataReceived(post(request(), rpc_timeout_ms="1500"))
        self.assertEqual(self.requests()[0].properties.expiration, "1500")
        self.assertEqual(self.exchange(post(request(), rpc_timeout_ms="soon"))[0], 400)

    def test_a_client_that_leaves_cancels_its_call_but_no_oneway_call(self) -> None:
        for kind, left in ((TMessageType.CALL, 0), (TMessageType.ONEWAY, 1)):
            channel, _ = self.connect(http=True)
            channel.dataReceived(post(request(kind=kind)))
            self.leave(channel)
            self.assertEqual(len(self.caller.subject.pending.calls), left)
        self.caller.wire.confirm(0, multiple=True)
        self.assert_nothing_left()


class OtherRequestTests(HTTPCase):
    """Requests that are no calls."""

    def test_other_methods_and_bodies_are_refused(self) -> None:
        status, headers, _ = self.exchange(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        self.assertEqual((status, headers["allow"]), (405, "POST, OPTIONS"))
        for body in (b"", b"rubbish", b"\x0f\xff"):
            self.assertEqual(self.exchange(post(body))[0], 400)
        self.assertEqual(self.exchange(post(b"\x80"))[0], 200)  # it has a protocol, so the client gets an exception
        self.assert_nothing_left()

    def test_forms_are_not_parsed(self) -> None:
        form = post(request(), content_type="application/x-www-form-urlencoded")
        self.assertEqual(self.exchange(form)[2], result())

    def test_pages_of_other_origins_are_refused(self) -> None:
        """A browser sends such a request before it asks whether it may."""
        self.assertEqual(self.exchange(post(request(), origin="https://evil.example"))[0], 403)
        self.assertEqual(self.exchange(post(request(), origin="null"))[0], 403)
        self.assertEqual(self.exchange(post(request(), origin="https://["))[0], 403)

    def test_pages_of_the_same_host_may_call(self) -> None:
        status, headers, _ = self.exchange(post(request(), origin="https://api.example"))
        self.assertEqual(status, 200)
        self.assertNotIn("access-control-allow-origin", headers)

    def test_pages_of_named_origins_may_call(self) -> None:
        origin = "https://www.example"
        self.set_up(cors=[origin])
        status, headers, _ = self.exchange(post(request(), origin=origin))
        self.assertEqual((status, headers["access-control-allow-origin"]), (200, origin))
        self.assertEqual(headers["vary"], "Origin")
        self.assertEqual(self.exchange(post(request(), origin="https://evil.example"))[0], 403)
        self.set_up(cors=["*"])
        self.assertEqual(self.exchange(post(request(), origin=origin))[1]["access-control-allow-origin"], "*")

    def test_a_browser_may_ask_before(self) -> None:
        self.set_up(cors=["https://www.example"])
        asked = (
            b"OPTIONS /Other HTTP/1.1\r\nhost: api.example\r\norigin: https://www.example\r\n"
            b"access-control-request-method: POST\r\naccess-control-request-headers: content-type\r\n\r\n"
        )
        status, headers, _ = self.exchange(asked)
        self.assertEqual((status, headers["access-control-allow-methods"]), (204, "POST"))
        self.assertEqual(headers["access-control-allow-headers"], "content-type")
        self.assertEqual(self.exchange(asked.replace(b"www", b"evil"))[0], 403)


class HostileTests(HTTPCase):
    """Clients that send too much, too slowly, or do not read."""

    def test_a_body_over_the_limit_is_refused_before_it_is_read(self) -> None:
        self.set_up(max_message_size=1000)
        head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n"
        for sent in (head, head + bytes(2000), chunked(bytes(600), bytes(600), b"")):
            channel, transport = self.connect(http=True)
            channel.dataReceived(sent)
            self.assertEqual(responses(transport.take())[0][0], 413)
            self.assertTrue(transport.disconnecting)
            self.leave(channel)
        self.assert_nothing_left()

    def test_a_slow_request_is_waited_for_only_so_long(self) -> None:
        for begin in (b"P", post(request())[:-1], b"POST / HTTP/1.1\r\nx: "):
            channel, transport = self.connect(http=True)
            channel.dataReceived(begin)
            self.clock.pump([1.0] * 59)
            self.assertFalse(transport.aborted)
            self.clock.pump([1.0] * 2)
            self.assertTrue(transport.aborted)
            self.leave(channel)
        self.assert_nothing_left()

    def test_an_idle_client_is_aborted_later(self) -> None:
        channel, transport = self.connect(http=True)
        channel.dataReceived(post(request()))
        self.clock.advance(3.0)
        self.answer(self.requests()[0])
        self.clock.pump([1.0] * 599)
        self.assertFalse(transport.aborted)
        self.clock.pump([1.0] * 2)
        self.assertTrue(transport.aborted)

    def test_requests_that_come_together_are_answered_one_after_the_other(self) -> None:
        channel, transport = self.connect(http=True)
        channel.dataReceived(b"".join(post(request(seqid=seqid)) for seqid in range(3)))
        for seqid in range(3):
            (published,) = self.requests()
            self.answer(published)
            self.assertEqual([body for _, _, body in responses(transport.take())], [result(seqid=seqid)])

    def test_thousands_of_requests_that_come_together_are_no_deep_recursion(self) -> None:
        channel, transport = self.connect(http=True)
        channel.dataReceived(b"GET / HTTP/1.1\r\n\r\n" * 3000)
        self.assertEqual(transport.take().count(b"HTTP/1.1 405"), 3000)

    def test_a_client_that_does_not_read_begins_no_further_call(self) -> None:
        channel, transport = self.connect(http=True)
        channel.dataReceived(post(request()) * 3)
        (first,) = self.requests()
        channel.pauseProducing()
        self.answer(first)
        self.assertEqual(self.requests(), [])
        self.clock.pump([1.0] * 30)
        channel.resumeProducing()
        (second,) = self.requests()
        channel.pauseProducing()
        self.answer(second)
        self.clock.pump([1.0] * 61)
        self.assertTrue(transport.aborted)
        self.leave(channel)
        self.assert_nothing_left()

    def test_all_connections_together_may_keep_so_many_bytes(self) -> None:
        self.set_up(max_buffered=1000)
        channel, transport = self.connect(http=True)
        channel.dataReceived(post(request("a" * 900) + bytes(500))[:-1])
        self.assertTrue(transport.aborted)
        self.leave(channel)
        self.assert_nothing_left()

    def test_a_draining_connection_closes_when_its_call_is_answered(self) -> None:
        idle, idle_transport = self.connect(http=True)
        busy, busy_transport = self.connect(http=True)
        busy.dataReceived(post(request()))
        drained = self.connections.drain()
        self.assertEqual((idle_transport.disconnecting, busy_transport.disconnecting), (True, False))
        self.answer(self.requests()[0])
        self.assertEqual(responses(busy_transport.take())[0][2], result())
        self.assertTrue(busy_transport.disconnecting)
        self.leave(idle)
        self.leave(busy)
        self.successResultOf(drained)
        self.assert_nothing_left()
