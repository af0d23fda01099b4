"""One client's connection: input, channels, output, and its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc import log
from rpc.amqp.codec.frame_reader import FrameReader, Receiver
from rpc.amqp.codec.frames import (
    FRAME_OVERHEAD,
    PROTOCOL_HEADER,
    SMALLEST_FRAME_MAX,
    method_frame,
)
from rpc.amqp.codec.methods import encode_arguments
from rpc.amqp.codec.spec import load_spec
from rpc.amqp.congestion import socket_of
from rpc.amqp.heartbeat import Heartbeat
from rpc.amqp.output import SECONDS_TO_CLOSE, Output
from rpc.amqp.tcp_keepalive import keep_alive
from rpc.broker.back_pressure import OUR_REASONS, BackPressure, PauseReason, Signal
from rpc.broker.channel import Channel
from rpc.broker.closed_channels import ClosedChannel, DiscardingChannel
from rpc.broker.handshake import ChannelZero, State
from rpc.broker.input import Input
from rpc.broker.limits import MAX_GATHERED
from rpc.broker.protocol_error import ProtocolError
from rpc.broker.round_robin import rotate_past
from rpc.broker.sizes import CHANNEL
from rpc.broker.work import Steps
from rpc.errors import FrameError
from rpc.reply_codes import CHANNEL_ERROR, INTERNAL_ERROR, NOT_ALLOWED, RESOURCE_ERROR
from rpc.uri import host_and_port

if TYPE_CHECKING:
    from rpc.broker.broker import Broker
    from rpc.broker.message import Message
    from rpc.broker.queue import Queue
    from rpc.broker.vhost import VirtualHost

ACCEPTED_HEADERS = (PROTOCOL_HEADER, b"AMQP\x01\x01\x00\x09")
"""The second is the header of AMQP 0-9. txAMQP sends it, and RabbitMQ takes it for 0-9-1."""

CONTENT_HEADER = 12
"""Bytes of a content header before the properties."""


@implementer(IPushProducer)
class BrokerConnection(Protocol):
    """One connection.

    :ivar user: the user's name.
    :ivar name: ``connection_name`` of the client's properties, or its address.
    :ivar exclusive_queues: deleted with the connection.
    :ivar ended: fires when the socket is closed.
    :ivar back_pressure: whether the client is delivered to, and whether its input is read.
    :ivar input: the bytes that come.
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
        self.back_pressure = BackPressure(self)
        self.max_payload = SMALLEST_FRAME_MAX - FRAME_OVERHEAD
        self._zero = ChannelZero(self)
        self._channels: dict[int, Receiver] = {0: self._zero}
        self._reader = FrameReader(self._channels, self._closed_channel, self._too_large)
        self._reader.max_content = broker.limits.message
        self._header = b""
        self._channel_max = 0
        self._heart: Heartbeat | None = None
        self._timer = broker.timer(self._abort)  # limits the handshake, then the close
        self._gathered = 0
        self.input = Input(self, self._reader)
        self._carried_all = True
        self._lost = False
        self.ended: Deferred[None] = Deferred()

    # -- life

    def connectionMade(self) -> None:
        """Expect the protocol header, and limit the time of the handshake."""
        self._output = Output(self.transport)
        peer = self.transport.getPeer()
        self.host = getattr(peer, "host", "?")
        self.name = self.peer = host_and_port(self.host, getattr(peer, "port", "?"))
        if not self.broker.admit(self):
            self.transport.abortConnection()
            return
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        socket = socket_of(self.transport)
        if socket is not None:
            keep_alive(socket.socket)
        self.transport.registerProducer(self, True)
        self._timer.start(self.broker.limits.handshake)

    def tuned(self, channel_max: int, frame_max: int, heartbeat: int) -> None:
        """Take the limits of ``connection.tune-ok``."""
        self._channel_max = channel_max
        self.max_payload = self._reader.max_payload = frame_max - FRAME_OVERHEAD
        if heartbeat:
            self._heart = Heartbeat(self.broker.clock, heartbeat, self._beat, self._silence)

    def opened(self, vhost: VirtualHost) -> None:
        """Enter a virtual host: the handshake is over."""
        self.vhost = vhost
        self._timer.stop()

    def close_with_error(self, error: ProtocolError) -> None:
        """Send ``connection.close`` with the reason, and expect close-ok (AMQP 0-9-1, connection.close)."""
        if self._zero.state is State.CLOSING:
            return
        self.broker.log(f"connection {self.name} is closed: {error}")
        self._zero.closing()
        self.close_channels()
        key = error.key
        self.reply("connection.close", error.code, error.reply_text, key >> 16, key & 0xFFFF)
        self.back_pressure.closing()  # a peer may answer close-ok while its input is paused
        self._timer.start(SECONDS_TO_CLOSE)
        self.input.resume()  # nothing of it but close-ok has an effect now

    def close_channels(self) -> None:
        """End all channels: requeue unacked messages, and delete exclusive queues."""
        channels = [channel for channel in self._channels.values() if isinstance(channel, Channel)]
        for channel in channels:
            self._remove_channel(channel)
        for channel in channels:  # or a queue would activate a consumer that is lost as well
            channel.stop_deliveries()
        # Before any requeue, or another lost consumer would get the message.
        queues = [queue for channel in channels for queue in channel.stop_consumers()]
        unacked = sum(len(channel.unacked) for channel in channels)
        if unacked:
            self.broker.log(f"connection {self.name} ended: {unacked} deliveries are requeued")
        self.broker.work.do(self._end_channels(channels, queues))

    def _end_channels(self, channels: Iterable[Channel], queues: Iterable[Queue]) -> Steps:
        for channel in channels:
            yield from channel.requeue_all()
        for queue in dict.fromkeys(queues):
            queue.activate_next()
        for queue in [*self.exclusive_queues]:
            self.vhost.delete_unused(queue)
            yield

    def hang_up(self) -> None:
        """End the connection when all output is sent, or by force after :data:`~rpc.amqp.output.SECONDS_TO_CLOSE`."""
        self.input.stop()
        self.back_pressure.closing()
        self._zero.closing()
        self.flush()
        self.transport.unregisterProducer()  # which would keep it from ending
        self.transport.loseConnection()
        self._timer.start(SECONDS_TO_CLOSE)

    def _abort(self) -> None:
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The socket is closed."""
        self._lost = True
        self._zero.closing()
        self._timer.stop()
        if self._heart is not None:
            self._heart.stop()
        self.input.clear()
        self.broker.run_pass(self.close_channels)
        self.broker.connection_ended(self)
        self.ended.callback(None)

    def _beat(self, frame: bytes) -> None:
        if self.back_pressure.paused & OUR_REASONS and self._heart is not None:
            self._heart.silent_ticks = 0  # its heartbeats are in the socket, unread
        if not self.back_pressure.slow:  # the bytes that it has not read yet show that the broker lives
            self.transport.write(frame)

    def _silence(self) -> None:
        self.broker.log(f"connection {self.name} is closed: missed heartbeats from client")
        self.transport.abortConnection()

    # -- channels

    def _closed_channel(self, number: int) -> Receiver:
        if self._zero.state is State.CLOSING:
            return DiscardingChannel()
        if self._zero.state is not State.RUNNING:
            raise FrameError(CHANNEL_ERROR, f"a frame on channel {number} before the connection is open")
        return ClosedChannel(self, number)

    def open_channel(self, number: int) -> None:
        """Open a channel."""
        count = len(self._channels) - 1
        if count >= self._channel_max:
            problem = f"number of channels opened ({count}) has reached the negotiated channel_max"
            self.close_with_error(ProtocolError(NOT_ALLOWED, f"{problem} ({self._channel_max})"))
            return
        try:
            self.broker.memory.define("open a channel", CHANNEL)
        except ProtocolError as error:
            self.close_with_error(ProtocolError(RESOURCE_ERROR, error.text))
            return
        channel = self._channels[number] = Channel(self, number)
        channel.reply("channel.open-ok", b"")
        self.input.end_slice_if_over()

    def forget(self, channel: Channel) -> None:
        """Free the number of a channel that both ends have closed."""
        if self._channels.get(channel.number) is channel:
            self._remove_channel(channel)
        self._reader.forget(channel.number)

    def _remove_channel(self, channel: Channel) -> None:
        del self._channels[channel.number]
        self.broker.memory.forget_definition(CHANNEL)

    def _too_large(self, number: int, size: int) -> None:
        receiver: Any = self._channels.get(number) or self._closed_channel(number)
        receiver.content_too_large(size)

    @property
    def closing(self) -> bool:
        """Whether the connection ends."""
        return self._zero.state is State.CLOSING

    @property
    def wants_cancels(self) -> bool:
        """Whether the client understands ``basic.cancel`` from the broker (RabbitMQ extension)."""
        return self.capabilities.get("consumer_cancel_notify") is True

    # -- input

    def dataReceived(self, data: bytes) -> None:
        """Read frames. All output that they cause is sent at the end of the pass."""
        if self._heart is not None:
            self._heart.silent_ticks = 0
        if self.input.takes(data):
            self.read(data)

    def read(self, data: bytes) -> None:
        """Read bytes that have come now, or were postponed."""
        try:
            if self._zero.state is State.HEADER:
                data = self._read_header(data)
            self.input.read(data)
        except FrameError as error:
            self._stop(ProtocolError(error.code, error.text, ends_connection=True))
        except Exception:
            log.err(None, f"while reading from the connection of {self.peer}")
            self._stop(ProtocolError(INTERNAL_ERROR, "internal error; the broker's log has the details"))
        finally:
            self.broker.end_pass()

    def _stop(self, error: ProtocolError) -> None:
        """Close for an error, and read no more: the socket stays open until the client has read the reason."""
        self.close_with_error(error)
        self.input.stop()

    def _read_header(self, data: bytes) -> bytes:
        """Take the protocol header (AMQP 0-9-1, section 4.2.2); return the bytes behind it."""
        data = self._header + data
        beginning, rest = data[: len(PROTOCOL_HEADER)], data[len(PROTOCOL_HEADER) :]
        if not any(header.startswith(beginning) for header in ACCEPTED_HEADERS):
            self.transport.write(
                PROTOCOL_HEADER
            )  # section 4.2.2: answer with the header of the supported version, and close
            self.hang_up()
            return b""
        if len(beginning) < len(PROTOCOL_HEADER):
            self._header = data
            return b""
        self._zero.header_received()
        return rest

    # -- output

    def reply(self, name: str, *arguments: Any) -> None:
        """Write a method on channel 0."""
        self.send(method_frame(0, encode_arguments(load_spec().parse_method(name), arguments)))

    def send(self, data: bytes) -> None:
        """Gather frames for the end of the pass."""
        if not self._gathered:
            self.broker.unflushed.append(self)
        self._output.append(data)
        self._gathered += len(data)
        if self._gathered > MAX_GATHERED:
            self.back_pressure.signal(Signal.GATHERED_MUCH)

    def can_carry(self, message: Message) -> bool:
        """Whether a message's properties fit one frame (AMQP 0-9-1, section 4.2.6). Publishers may have larger ones."""
        if CONTENT_HEADER + len(message.properties) <= self.max_payload:
            return True
        if self._carried_all:
            self._carried_all = False  # a queue may have very many of them
            problem = "its properties do not fit a frame; the log does not name further ones"
            self.broker.log(f"a message for connection {self.name} is lost: {problem}")
        return False

    @property
    def overfull(self) -> bool:
        """Whether too much is unread for a message that has no queue to stay in."""
        return not self.back_pressure.takes(self._gathered)

    def flush(self) -> None:
        """Send the output of a pass: few bytes at once, many in the reactor's next iteration."""
        size, pressure = self._gathered, self.back_pressure
        if not size or self._lost:
            return
        self._gathered = 0
        congested = pressure.congested
        self._output.flush(at_once=not pressure.slow and size < MAX_GATHERED)
        pressure.flushed(size)
        if congested:
            self._deliver_again()

    def pauseProducing(self) -> None:
        """The transport is full (``IPushProducer``): deliver nothing."""
        self.back_pressure.signal(Signal.TRANSPORT_FULL)

    def resumeProducing(self) -> None:
        """The transport has sent everything (``IPushProducer``): deliver again."""
        self.back_pressure.signal(Signal.TRANSPORT_EMPTY)
        self.broker.run_pass(self._deliver_again)

    def stopProducing(self) -> None:
        """The socket is gone (``IPushProducer``); :meth:`connectionLost` follows."""

    def _deliver_again(self) -> None:
        if self.back_pressure.congested:
            return
        taker = None
        for number, channel in [*self._channels.items()]:
            if isinstance(channel, Channel):
                before = self._gathered
                channel.deliver_ready()
                if taker is None and self._gathered != before:
                    taker = number
        if taker is not None:  # it comes last the next time; otherwise its full queue would be all that is delivered
            rotate_past(self._channels, taker)
        if not self.back_pressure.congested and PauseReason.SLICE not in self.back_pressure.paused:
            self.input.resume()

    # -- the broker's memory

    def published_in_alarm(self) -> None:
        """Read no more from a client that publishes during a memory alarm (RabbitMQ extension: connection.blocked)."""
        if self.back_pressure.block_publisher() and self._knows_blocked:
            self.reply("connection.blocked", "low on memory")

    def alarm_ended(self) -> None:
        """Read again from a client that was blocked."""
        if self.back_pressure.unblock_publisher() and self._knows_blocked:
            self.reply("connection.unblocked")

    @property
    def _knows_blocked(self) -> bool:
        return self.capabilities.get("connection.blocked") is True

    def set_reading(self, reading: bool) -> None:
        """Read from the socket, or pause (:class:`~rpc.broker.back_pressure.Valve`)."""
        if self._lost:
            return
        if reading:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()
