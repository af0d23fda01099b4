"""Framed TCP: the length of each message, then the message (Thrift's ``TFramedTransport``), or THeader.

A frame's first bytes tell its protocol, so clients of all protocols share a port. Answers have the order of the
requests, unless the option ``unordered`` is set. A client that sends several requests before it reads may go by the
order: Thrift's clients for Python do, and give all their messages the same seqid.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc.envelope import CODECS
from rpc.errors import MalformedMessage, MessageTooLarge
from rpc.gateway.answers import error_answer, protocol_of, unframed_answer
from rpc.gateway.connections import Connections, Wait
from rpc.gateway.forwarder import Forwarder
from rpc.gateway.frames import LARGEST, LENGTH, FrameReader, TooLarge, with_length
from rpc.gateway.header import MAGIC, HeaderFrame
from rpc.gateway.options import GatewayOptions
from rpc.interfaces import IClock

HELD: Final = 1024 * 1024
"""Bytes of requests whose calls are in progress, and of answers that wait for their turn or for the client to read.
With more, no requests are read.
"""

WRITE: Final = 64 * 1024
"""Bytes of answers from which on a write takes no further one."""

GRAIN: Final = 4096
"""Bytes of a change in memory from which on the registry of connections is told. Most calls change less."""


class State(enum.Enum):
    """The states of a connection, in their order. Some are left out, none comes again."""

    OPEN = enum.auto()
    """Requests are read."""

    ENDING = enum.auto()
    """No more requests are read. It closes when the calls in progress have been answered."""

    CLOSING = enum.auto()
    """The last answers are on their way to the client."""

    GONE = enum.auto()
    """There is no connection."""


class _Answer:
    """An answer, which has its place in the order before it has come.

    :ivar wrap: frames it.
    :ivar frame: the answer in its frame, when it has come.
    """

    __slots__ = ("frame", "wrap")

    def __init__(self, wrap: Callable[[bytes], bytes]) -> None:
        self.wrap = wrap
        self.frame: bytes | None = None


@implementer(IPushProducer)
class FramedConnection(Protocol):
    """One client.

    :ivar wait, since, peer: see :class:`~rpc.gateway.connections.IClientConnection`.
    """

    transport: Any

    def __init__(
        self, forwarder: Forwarder, connections: Connections, options: GatewayOptions, clock: IClock, peer: str
    ) -> None:
        self._forwarder = forwarder
        self._connections = connections
        self._options = options
        self._clock = clock
        self.peer = peer
        self.wait = Wait.REQUEST
        self.since = clock.seconds()
        self._state = State.OPEN
        self._reader = FrameReader(options.max_message_size)
        self._calls: dict[Deferred[bytes], int] = {}  # in progress, and the bytes of their requests
        self._oneway_calls: set[Deferred[bytes]] = set()  # those of the calls that have no answer
        self._answers: deque[_Answer] = deque()  # in the order in which they are sent
        self._held = 0  # bytes of the calls' requests, and of the answers that have come
        self._noted = 0  # bytes that the registry of connections knows of
        self._is_congested = False  # the transport has more than it can send
        self._is_paused = False  # the transport does not read
        self._is_going_on = False
        self._is_due = False  # it goes on at the end of the broker's pass

    # -- the connection

    def connectionMade(self) -> None:
        """Have the transport say when the client does not read."""
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._connections.add(self)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Cancel the calls: their answers have no reader. Oneway calls go on.

        A client that closes only its own half cannot be told from one that has left. Clients of Thrift close both.
        """
        self._state = State.GONE
        self._reader.clear()
        self._answers.clear()
        self._held = 0
        self._note_memory()
        for call in list(self._calls):
            if call not in self._oneway_calls:
                call.cancel()
        self._connections.remove(self)

    def drain(self) -> None:
        """See :class:`~rpc.gateway.connections.IClientConnection`."""
        if self._state is State.OPEN:
            self._state = State.ENDING
            self._reader.clear()
            self._go_on()

    def abort(self) -> None:
        """See :class:`~rpc.gateway.connections.IClientConnection`."""
        if self._state is not State.GONE:
            self.transport.abortConnection()

    def _refuse(self, why: str) -> None:
        """End a connection on which no further request can be found."""
        self._connections.note(f"the connection from {self.peer} is closed: {why}")
        self.drain()

    # -- input and back-pressure, as the transport tells them

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of requests."""
        if self._state is State.OPEN:
            self._reader.feed(data)
            self._go_on()

    def pauseProducing(self) -> None:
        """The client does not read: keep further answers, and read no requests."""
        self._is_congested = True
        self._go_on()

    def resumeProducing(self) -> None:
        """All has been sent."""
        self._is_congested = False
        self._go_on()

    def stopProducing(self) -> None:
        """The connection ends; ``connectionLost`` does the rest."""

    def _go_on(self) -> None:
        """Send and take all that can be sent and taken now."""
        self._is_due = False
        if self._is_going_on or self._state is State.GONE:
            return
        self._is_going_on = True
        try:
            if self._answers:
                self._send()
            while self._reader.buffered and self._take_requests():
                self._send()
        finally:
            self._is_going_on = False
        if self._state is State.ENDING and not self._calls and not self._answers:
            self._state = State.CLOSING
            self.transport.unregisterProducer()
            self.transport.loseConnection()
        self._adjust_reading()
        self._note_memory()

    def _send(self) -> None:
        """Send the answers whose turn it is, as long as the client reads. Many small ones go out in one write."""
        answers = self._answers
        while answers and answers[0].frame is not None and not self._is_congested:
            frames: list[bytes] = []
            size = 0
            while answers and size < WRITE and (frame := answers[0].frame) is not None:
                answers.popleft()
                frames.append(frame)
                size += len(frame)
            self._held -= size
            self.transport.write(b"".join(frames))

    def _take_requests(self) -> bool:
        """Take the requests that are there, until the connection has enough. Return whether there were any."""
        taken = False
        while self._reader.buffered and self._state is State.OPEN and not self._has_enough():
            frame = self._reader.next()
            if frame is None:
                break
            taken = True
            if isinstance(frame, TooLarge):
                self._refuse_too_large(frame)
            elif frame[:2] == MAGIC:
                self._take_header_frame(frame)
            else:
                self._take(frame)
        if taken and self._reader.buffered:
            self.since = self._clock.seconds()  # the next request has all its time
        return taken

    def _has_enough(self) -> bool:
        return self._is_congested or len(self._calls) >= self._options.in_flight or self._held > HELD

    def _adjust_reading(self) -> None:
        """Pause reading, or read again; and note why the connection waits."""
        if self._state is State.GONE:
            return
        enough = self._has_enough()
        pause = enough and self._state is State.OPEN
        if pause is not self._is_paused:
            self._is_paused = pause
            (self.transport.pauseProducing if pause else self.transport.resumeProducing)()
        if self._is_congested or self._state is State.CLOSING or (self._reader.buffered and not enough):
            wait = Wait.PEER
        else:
            wait = Wait.SERVICE if self._calls else Wait.REQUEST
        if wait is not self.wait:
            self.wait = wait
            self.since = self._clock.seconds()

    def _note_memory(self) -> None:
        change = self._reader.buffered + self._held - self._noted
        if abs(change) >= GRAIN or self._state is State.GONE:
            self._noted += change
            if not self._connections.buffer(self, change):
                self.abort()

    # -- requests

    def _take(self, frame: bytes) -> None:
        protocol = protocol_of(frame)
        if protocol is None:
            self._refuse("a frame without a Thrift message")
        else:
            self._forward(frame, protocol, with_length)

    def _take_header_frame(self, frame: bytes) -> None:
        try:
            request = HeaderFrame(frame, self._options.max_message_size)
        except MalformedMessage as error:
            self._refuse(str(error))
            return
        if request.answer is not None:
            self._answer_now(request.wrap(request.answer))
        else:
            message, request.message = request.message, b""  # while the call is in progress, only the call keeps it
            self._forward(message, request.protocol, request.wrap, request.timeout)

    def _forward(
        self, message: bytes, protocol: str, wrap: Callable[[bytes], bytes], timeout: float | None = None
    ) -> None:
        answer = _Answer(wrap)
        call, is_oneway = self._forwarder.call(message, protocol, None, timeout)
        self._calls[call] = size = len(message)
        self._held += size
        if is_oneway:
            self._oneway_calls.add(call)
        elif not self._options.unordered:
            self._answers.append(answer)
        call.addCallbacks(self._answered, self._oneway_failed, (call, answer), errbackArgs=(call,))

    def _answered(self, message: bytes, call: Deferred[bytes], answer: _Answer | None) -> None:
        size = self._calls.pop(call)
        if self._state is State.GONE:
            return
        self._held -= size
        self._oneway_calls.discard(call)
        if message and answer is not None:  # a oneway call has no answer
            answer.frame = frame = answer.wrap(message)
            self._held += len(frame)
            if self._options.unordered:
                self._answers.append(answer)
        if not self._is_due and not self._is_going_on:
            self._is_due = True
            self._forwarder.at_end_of_pass(self._go_on)  # with all answers that the broker has sent together

    def _oneway_failed(self, _: Failure, call: Deferred[bytes]) -> None:
        """The forwarder has logged it."""
        self._answered(b"", call, None)

    def _answer_now(self, frame: bytes) -> None:
        """Send an answer of the gateway's own, in its turn."""
        answer = _Answer(with_length)
        answer.frame = frame
        self._held += len(frame)
        self._answers.append(answer)

    def _refuse_too_large(self, frame: TooLarge) -> None:
        """Answer a request that is too large, if its head can be read. Other frames may follow."""
        if frame.length > LARGEST:
            answer = unframed_answer(LENGTH.pack(frame.length))
            if answer is not None:
                self._answer_now(answer)
            self._refuse("its messages are not framed")
            return
        most = self._options.max_message_size
        protocol = protocol_of(frame.head)
        try:
            if protocol is None:
                raise MalformedMessage("no Thrift message")
            codec = CODECS[protocol]
            name, _, seqid, _ = codec.read_header(frame.head)
        except MalformedMessage as error:
            self._refuse(f"a frame of {frame.length} bytes, over max_message_size={most}: {error}")
            return
        text = f"a request of {frame.length} bytes, over the gateway's max_message_size of {most}"
        self._answer_now(with_length(error_answer(codec, name, seqid, MessageTooLarge(text))))
