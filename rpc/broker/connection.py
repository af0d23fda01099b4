"""One client's connection: bytes in, channels, bytes out, and what ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python import log
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc.amqp.codec.frames import (
    FRAME_OVERHEAD,
    PROTOCOL_HEADER,
    SMALLEST_FRAME_MAX,
    FrameReader,
    Receiver,
    method_frame,
)
from rpc.amqp.codec.methods import encode_arguments
from rpc.amqp.codec.spec import load_spec
from rpc.amqp.heartbeat import Heartbeat
from rpc.amqp.output import SECONDS_TO_CLOSE, Output
from rpc.broker.channel import Channel
from rpc.broker.handshake import ChannelZero, State
from rpc.broker.limits import OUTGOING_AT_MOST, OUTGOING_BEFORE_PAUSE
from rpc.broker.refusals import CHANNEL_ERROR, INTERNAL_ERROR, NOT_ALLOWED, RESOURCE_ERROR, Refusal
from rpc.broker.unopened import Discarding, Unopened
from rpc.errors import FrameError

if TYPE_CHECKING:
    from rpc.broker.broker import Broker
    from rpc.broker.message import Message
    from rpc.broker.queue import Queue
    from rpc.broker.vhost import VirtualHost

SPOKEN = (PROTOCOL_HEADER, b"AMQP\x01\x01\x00\x09")
"""The second is 0-9's, which txAMQP sends and RabbitMQ takes for 0-9-1 too."""

CONTENT_HEADER = 12
"""Bytes of a content header before the properties."""


@implementer(IPushProducer)
class BrokerConnection(Protocol):
    """One connection.

    :ivar user: who has logged in.
    :ivar name: what the client calls it, or where it comes from.
    :ivar exclusive_queues: those that go with it.
    :ivar ended: fires when its socket is gone.
    :ivar congested: whether the client reads more slowly than it is written to: then nothing is delivered to it.
    :ivar max_payload: bytes of a frame's payload, at most.
    """

    transport: Any
    vhost: VirtualHost

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.user = ""
        self.name = self.peer = self.host = "?"
        self.capabilities: dict[str, Any] = {}
        self.exclusive_queues: set[Queue] = set()
        self.congested = False
        self.max_payload = SMALLEST_FRAME_MAX - FRAME_OVERHEAD
        self._zero = ChannelZero(self)
        self._channels: dict[int, Receiver] = {0: self._zero}
        self._reader = FrameReader(self._channels, self._unknown, self._too_large)
        self._reader.max_content = broker.limits.message
        self._greeting = b""
        self._channel_max = 0
        self._heart: Heartbeat | None = None
        self._timer = broker.timer(self._abort)  # of the handshake, then of the end
        self._outgoing_size = 0
        self._behind = 0  # bytes written since the client stopped reading
        self._slow = False  # the transport says so
        self._blocked = False
        self._deaf = False  # nothing is read from the socket
        self._put_off: list[bytes] = []  # read, and to be taken when the client has read its answers
        self._held = 0  # of contents that are not complete, as counted against the broker's memory
        self._lost = False
        self.ended: Deferred[None] = Deferred()

    # -- life

    def connectionMade(self) -> None:
        """Wait for the client's first bytes, a while."""
        self._output = Output(self.transport)
        peer = self.transport.getPeer()
        self.host = getattr(peer, "host", "?")
        self.name = self.peer = f"{self.host}:{getattr(peer, 'port', '?')}"
        if not self.broker.admits(self):
            self.transport.abortConnection()
            return
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self._timer.start(self.broker.limits.handshake)

    def tuned(self, channel_max: int, frame_max: int, heartbeat: int) -> None:
        """Limits are agreed on."""
        self._channel_max = channel_max
        self.max_payload = self._reader.max_payload = frame_max - FRAME_OVERHEAD
        if heartbeat:
            self._heart = Heartbeat(self.broker.clock, heartbeat, self._beat, self._silence)

    def opened(self, vhost: VirtualHost) -> None:
        """The client is in a virtual host: the handshake is over."""
        self.vhost = vhost
        self._timer.stop()

    def refuse(self, refusal: Refusal) -> None:
        """Tell the client why its connection ends, and wait for it to agree (AMQP 0-9-1, connection.close)."""
        if self._zero.state is State.CLOSING:
            return
        self.broker.log(f"connection {self.name} is closed: {refusal}")
        self._zero.state = State.CLOSING
        self.end_channels()
        key = refusal.key
        self.reply("connection.close", refusal.code, refusal.reply_text, key >> 16, key & 0xFFFF)
        self._listen()  # also to who was not heard: it may agree
        self._timer.start(SECONDS_TO_CLOSE)

    def end_channels(self) -> None:
        """Give back what its consumers have not settled, and remove its exclusive queues."""
        channels = [channel for channel in self._channels.values() if isinstance(channel, Channel)]
        for number in [*self._channels]:
            if number:
                del self._channels[number]
        for channel in channels:  # before anything is given back, or it would come to another of them
            channel.end_consumers()
        requeued = sum(channel.give_back_all() for channel in channels)
        if requeued:
            self.broker.log(f"connection {self.name} ended: {requeued} deliveries requeued")
        for queue in [*self.exclusive_queues]:
            self.vhost.unused(queue)

    def hang_up(self) -> None:
        """End the connection when what was written has gone out, or by force after some seconds."""
        self._reader.stopped = True
        self._put_off.clear()
        self._zero.state = State.CLOSING
        self.flush()
        self.transport.unregisterProducer()  # which would keep it from ending
        self.transport.loseConnection()
        self._timer.start(SECONDS_TO_CLOSE)

    def _abort(self) -> None:
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The socket is gone."""
        self._lost = True
        self._zero.state = State.CLOSING
        self._reader.stopped = True
        self._timer.stop()
        if self._heart is not None:
            self._heart.stop()
        self._put_off.clear()
        self._reader.clear()
        self._count_held()
        self.broker.turn(self.end_channels)
        self.broker.gone(self)
        self.ended.callback(None)

    def _beat(self, frame: bytes) -> None:
        if self._deaf and self._blocked and self._heart is not None:
            self._heart.silent_ticks = 0  # it is we who do not listen
        if not self._slow:  # else there is enough for it to hear us by
            self.transport.write(frame)

    def _silence(self) -> None:
        self.broker.log(f"connection {self.name} is closed: missed heartbeats from client")
        self.transport.abortConnection()

    # -- channels

    def _unknown(self, number: int) -> Receiver:
        if self._zero.state is State.CLOSING:
            return Discarding()
        if self._zero.state is not State.RUNNING:
            raise FrameError(CHANNEL_ERROR, f"a frame on channel {number} before the connection is open")
        return Unopened(self, number)

    def open_channel(self, number: int) -> None:
        """Open a channel."""
        count = len(self._channels) - 1
        if count >= self._channel_max:
            problem = f"number of channels opened ({count}) has reached the negotiated channel_max"
            self.refuse(Refusal(NOT_ALLOWED, f"{problem} ({self._channel_max})"))
            return
        channel = self._channels[number] = Channel(self, number)
        channel.reply("channel.open-ok", b"")

    def forget(self, channel: Channel) -> None:
        """Free the number of a channel that both ends have closed."""
        self._channels.pop(channel.number, None)
        self._reader.forget(channel.number)

    def _too_large(self, number: int, size: int) -> None:
        receiver: Any = self._channels.get(number) or self._unknown(number)
        receiver.content_too_large(size)

    @property
    def wants_cancels(self) -> bool:
        """Whether the client knows what it means that the broker ends a consumer (RabbitMQ extension)."""
        return self.capabilities.get("consumer_cancel_notify") is True

    # -- bytes in

    def dataReceived(self, data: bytes) -> None:
        """Read frames; what they lead to is written at the end of the turn."""
        if self._put_off:
            self._put_off.append(data)  # what TLS had at hand; nothing more is read from the socket
            return
        if self._lost or self._reader.stopped:
            return  # until the client hangs up: were the socket closed before, it might never read why
        if self._heart is not None:
            self._heart.silent_ticks = 0
        try:
            if self._zero.state is State.HEADER:
                data = self._read_greeting(data)
            self._reader.feed(data)
            self._count_held()
            held, memory = self._reader.held, self.broker.memory
            if held > self.broker.limits.contents or (held and memory.exhausted):
                raise FrameError(RESOURCE_ERROR, "too much of contents that are not complete")
        except FrameError as error:
            self.refuse(Refusal(error.code, error.text, ends_connection=True))
            self._reader.stopped = True
        except Exception:
            log.err(None, f"while reading from the connection of {self.peer}")
            self.refuse(Refusal(INTERNAL_ERROR, "a mistake of the broker; see its log"))
            self._reader.stopped = True
        finally:
            self.broker.end_turn()

    def put_off(self, rest: bytes) -> None:
        """Take what is at hand behind a method no sooner than the client has read what there is for it.

        A few bytes can ask for many large messages.
        """
        self._reader.stopped = True
        self._put_off.append(rest)
        self._listen()

    def _take_put_off(self) -> None:
        if self._put_off and not self._lost:
            data = b"".join(self._put_off)
            self._put_off.clear()
            self._reader.stopped = False
            self._listen()
            self.dataReceived(data)

    def _read_greeting(self, data: bytes) -> bytes:
        """Take the protocol header (AMQP 0-9-1, section 4.2.2); return what follows it."""
        data = self._greeting + data
        beginning, rest = data[: len(PROTOCOL_HEADER)], data[len(PROTOCOL_HEADER) :]
        if not any(header.startswith(beginning) for header in SPOKEN):
            self.transport.write(PROTOCOL_HEADER)  # what is spoken here; then we part
            self.hang_up()
            return b""
        if len(beginning) < len(PROTOCOL_HEADER):
            self._greeting = data
            return b""
        self._zero.greeted()
        return rest

    def _count_held(self) -> None:
        held = self._reader.held
        if held > self._held:
            self.broker.memory.take(held - self._held)
        elif held < self._held:
            self.broker.memory.release(self._held - held)
        self._held = held

    # -- bytes out

    def reply(self, name: str, *arguments: Any) -> None:
        """Write a method on channel 0."""
        self.send(method_frame(0, encode_arguments(load_spec().parse_method(name), arguments)))

    def send(self, data: bytes) -> None:
        """Write frames at the end of the turn."""
        if not self._outgoing_size:
            self.broker.unwritten.append(self)
        self._output.append(data)
        self._outgoing_size += len(data)
        if self._outgoing_size > OUTGOING_BEFORE_PAUSE:
            self.congested = True

    def can_carry(self, message: Message) -> bool:
        """Whether a message's properties fit a frame, as they must. It may have come with larger frames, or grown."""
        if CONTENT_HEADER + len(message.properties) <= self.max_payload:
            return True
        self.broker.log(f"a message for connection {self.name} is lost: its properties do not fit a frame")
        return False

    @property
    def overfull(self) -> bool:
        """Whether more waits for the client than is bearable."""
        return self._behind + self._outgoing_size > OUTGOING_AT_MOST

    def flush(self) -> None:
        """Write what the turn has led to: a little at once, more when the reactor comes to it."""
        size = self._outgoing_size
        if not size or self._lost:
            return
        self._outgoing_size = 0
        self._output.flush(at_once=not self._slow and size < OUTGOING_BEFORE_PAUSE)
        if self._slow:
            self._behind += size
            if self._behind > OUTGOING_AT_MOST:
                self._listen()
        elif self.congested:
            self._caught_up()  # the transport has room after all

    def pauseProducing(self) -> None:
        """The client does not read: deliver nothing until it does."""
        self._slow = self.congested = True

    def resumeProducing(self) -> None:
        """All that was written has gone out."""
        self._slow = False
        self._behind = 0
        self._listen()
        self.broker.turn(self._caught_up)

    def stopProducing(self) -> None:
        """The socket is gone; :meth:`connectionLost` follows."""

    def _caught_up(self) -> None:
        if self._slow or not self.congested:
            return
        self.congested = False
        for channel in [*self._channels.values()]:
            if isinstance(channel, Channel):
                channel.look_for_messages()
        if not self.congested:
            self._take_put_off()

    # -- the broker's memory

    def published_in_alarm(self) -> None:
        """Take nothing more from who publishes while memory is short (RabbitMQ extension: connection.blocked)."""
        if not self._blocked:
            self._blocked = True
            if self.capabilities.get("connection.blocked") is True:
                self.reply("connection.blocked", "low on memory")
            self._listen()

    def alarm_ended(self) -> None:
        """Take messages again."""
        if self._blocked:
            self._blocked = False
            if self.capabilities.get("connection.blocked") is True:
                self.reply("connection.unblocked")
            self._listen()

    def _listen(self) -> None:
        """Read from the socket, or do not, as things are."""
        wanted = not (self._blocked or self._put_off or self._behind > OUTGOING_AT_MOST)
        deaf = not wanted and self._zero.state is State.RUNNING
        if deaf is not self._deaf and not self._lost:
            self._deaf = deaf
            if deaf:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()
