"""HTTP: a POST has one message in its body, and so has the response (Thrift's ``THttpClient``).

Clients of Thrift take any other status than 200 for a broken connection. So errors of calls are 200 with an EXCEPTION
message, as Thrift's servers send them. Other statuses are for requests that are no calls.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web import http

from rpc.errors import InvalidRequest, RPCError
from rpc.gateway.answers import error_text, protocol_of
from rpc.gateway.connections import Connections, Wait
from rpc.gateway.deadline import HEADER, requested_timeout
from rpc.gateway.forwarder import Forwarder
from rpc.gateway.options import GatewayOptions
from rpc.interfaces import IClock

CONTENT_TYPE: Final = b"application/x-thrift"
"""That of Thrift's clients, for all protocols."""

METHODS: Final = b"POST, OPTIONS"

PREFLIGHT_SECONDS: Final = b"600"
"""How long a browser may remember that it may call."""


class CallRequest(http.Request):
    """A request of HTTP. Twisted's own would parse forms, and write large bodies to files."""

    channel: Any
    content: Any
    refused = False
    size = 0
    calling: Deferred[bytes] | None = None  # a call whose answer the client waits for

    def gotLength(self, length: int | None) -> None:
        """Refuse a body that is announced to be too large, before it is read."""
        self.content = BytesIO()
        if length is not None and length > self.channel.options.max_message_size:
            self._refuse_body()

    def handleContentChunk(self, data: bytes) -> None:
        """Gather the body."""
        if self.refused:
            return
        self.size += len(data)
        if self.size > self.channel.options.max_message_size:
            self._refuse_body()
        elif self.channel.keep(len(data)):
            self.content.write(data)

    def _refuse_body(self) -> None:
        self.refused = True
        self.channel.refuse(http.REQUEST_ENTITY_TOO_LARGE)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Begin the call, unless earlier answers must be read before."""
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        if not self.refused:
            self.channel.begin(self)

    def process(self) -> None:
        """Begin the call, or answer a request that is no call."""
        body = self.content.getvalue()
        origin = self.getHeader(b"origin")
        if origin is not None and not self._allow(origin):
            self._reply(http.FORBIDDEN, b"this origin may not call: see --cors\n")
        elif self.method == b"OPTIONS":
            self._reply_to_preflight()
        elif self.method != b"POST":
            self.setHeader(b"allow", METHODS)
            self._reply(http.NOT_ALLOWED, b"calls are made by POST\n")
        else:
            self._call(body)

    def _allow(self, origin: bytes) -> bool:
        """Return whether a page of this origin may call, and have the browser know it (Fetch standard, "CORS").

        A browser sends some requests of any page without asking before, so an unknown origin must be refused here.
        """
        cors, text = self.channel.options.cors, origin.decode("latin-1")
        if "*" in cors or text in cors:
            self.setHeader(b"access-control-allow-origin", b"*" if "*" in cors else origin)
            self.setHeader(b"vary", b"Origin")
            return True
        host = self.getHeader(b"host")
        try:
            return host is not None and urlsplit(text).netloc.lower() == host.decode("latin-1").lower()
        except ValueError:
            return False

    def _reply_to_preflight(self) -> None:
        self.setHeader(b"allow", METHODS)
        self.setHeader(b"access-control-allow-methods", b"POST")
        wanted = self.getHeader(b"access-control-request-headers")
        if wanted is not None:
            self.setHeader(b"access-control-allow-headers", wanted)
        self.setHeader(b"access-control-max-age", PREFLIGHT_SECONDS)
        self._reply(http.NO_CONTENT, b"")

    def _call(self, body: bytes) -> None:
        protocol = protocol_of(body)
        if protocol is None:
            self._reply(http.BAD_REQUEST, b"the body is no Thrift message\n")
            return
        try:
            timeout = requested_timeout(self.getHeader(HEADER))
        except InvalidRequest as error:
            self._reply(http.BAD_REQUEST, f"{error}\n".encode())
            return
        service = unquote(self.path).strip("/") or None
        calling, is_oneway = self.channel.forwarder.call(body, protocol, service, timeout)
        if not is_oneway:
            self.calling = calling
        calling.addCallbacks(self._answered, self._oneway_failed)

    def _answered(self, message: bytes) -> None:
        self.calling = None
        if self.channel is not None:
            self._reply(http.OK, message, CONTENT_TYPE)

    def _oneway_failed(self, failure: Failure) -> None:
        """A client that looks at the status learns that its call is lost."""
        if self.channel is None:
            return
        error = failure.value
        text = error_text(error) if isinstance(error, RPCError) else "Internal error"
        self._reply(http.SERVICE_UNAVAILABLE, f"{text}\n".encode())

    def _reply(self, status: int, body: bytes, content_type: bytes = b"text/plain; charset=utf-8") -> None:
        self.channel.keep(-self.size)
        self.size = 0
        self.setResponseCode(status)
        if status != http.NO_CONTENT:
            self.setHeader(b"content-type", content_type)
            self.setHeader(b"content-length", str(len(body)).encode())
        self.write(body)
        self.finish()

    def connectionLost(self, reason: Failure) -> None:
        """Cancel the call: its answer has no reader. A oneway call goes on."""
        super().connectionLost(reason)
        calling, self.calling = self.calling, None
        if calling is not None:
            calling.cancel()


class CallChannel(http.HTTPChannel):
    """The connection of one client. Its waits have no timers: see :class:`~rpc.gateway.connections.Connections`.

    :ivar wait, since, peer: see :class:`~rpc.gateway.connections.IClientConnection`.
    """

    requestFactory = CallRequest
    timeOut = None
    transport: Any

    def __init__(
        self, forwarder: Forwarder, connections: Connections, options: GatewayOptions, clock: IClock, peer: str
    ) -> None:
        super().__init__()
        self.forwarder = forwarder
        self.options = options
        self._connections = connections
        self._clock = clock
        self.peer = peer
        self.wait = Wait.REQUEST
        self.since = clock.seconds()
        self._kept = 0
        self._is_congested = False
        self._is_ending_request = False
        self._postponed: CallRequest | None = None

    def connectionMade(self) -> None:
        """Note the connection."""
        super().connectionMade()
        self._connections.add(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # HTTPChannel has no default
        """Forget the connection and its request."""
        self._postponed = None
        super().connectionLost(reason)
        self.keep(-self._kept)
        self._connections.remove(self)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of requests."""
        if self.wait is Wait.REQUEST:
            self._wait_for(Wait.PEER)
        super().dataReceived(data)

    def _wait_for(self, wait: Wait) -> None:
        self.wait = wait
        self.since = self._clock.seconds()

    def keep(self, size: int) -> bool:
        """Note `size` more bytes in memory. Return whether the connection may keep them; if not, it is aborted."""
        self._kept += size
        if self._connections.buffer(self, size):
            return True
        self.abort()
        return False

    def refuse(self, status: int) -> None:
        """Answer a request that has not been read to its end, and close."""
        self._connections.note(f"a request of {self.peer} is refused: {status} {http.RESPONSES[status].decode()}")
        line = b"HTTP/1.1 %d %s\r\n" % (status, http.RESPONSES[status])
        self.transport.write(line + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        self._wait_for(Wait.PEER)
        self.loseConnection()

    def begin(self, request: CallRequest) -> None:
        """Begin the call of a request. While the client does not read earlier answers, it has to wait."""
        self._postponed = request
        if self._is_congested:
            self._wait_for(Wait.PEER)
        elif not self._is_ending_request:
            self._begin_postponed()

    def _begin_postponed(self) -> None:
        """Requests that came together are begun here in a loop: each within the end of the one before would need too
        deep a recursion.
        """
        while self._postponed is not None and not self._is_congested:
            request, self._postponed = self._postponed, None
            self._wait_for(Wait.SERVICE)
            request.process()

    def requestDone(self, request: http.Request) -> None:
        """Go on with the next request."""
        self._wait_for(Wait.PEER if self._is_congested else Wait.REQUEST)
        is_inner, self._is_ending_request = self._is_ending_request, True
        super().requestDone(request)
        if not is_inner:
            self._begin_postponed()
            self._is_ending_request = False

    def pauseProducing(self) -> None:
        """The client does not read."""
        self._is_congested = True
        super().pauseProducing()
        if self.wait is Wait.REQUEST:
            self._wait_for(Wait.PEER)

    def resumeProducing(self) -> None:
        """All has been sent."""
        self._is_congested = False
        super().resumeProducing()
        if self.wait is Wait.PEER and not self.requests:
            self._wait_for(Wait.REQUEST)
        self._begin_postponed()

    def drain(self) -> None:
        """See :class:`~rpc.gateway.connections.IClientConnection`."""
        self.persistent = 0
        if self.wait is not Wait.SERVICE:
            self._wait_for(Wait.PEER)
            self.loseConnection()

    def abort(self) -> None:
        """See :class:`~rpc.gateway.connections.IClientConnection`."""
        self.transport.abortConnection()
