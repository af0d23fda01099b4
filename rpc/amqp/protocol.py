"""A connection to the broker: txAMQP's client with a data plane of its own.

txAMQP brings the specification, the generated methods and the delegate. The bytes of one read are parsed in one pass
(``frame_reader.py``), and each frame goes to its channel at once. All output that they cause is one write. No frame
waits in a queue. txAMQP itself is not changed: its other users in the process notice nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import txamqp.protocol
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection as Socket
from twisted.python.failure import Failure
from txamqp.message import Message

from rpc import log
from rpc.amqp.abort_timer import AbortTimer
from rpc.amqp.blocking import Blocking
from rpc.amqp.brokers import BrokerVersion
from rpc.amqp.channel import Channel
from rpc.amqp.codec.frame_reader import FrameReader
from rpc.amqp.codec.frames import (
    FRAME_OVERHEAD,
    LARGEST_PAYLOAD_BEFORE_TUNE,
    method_frame,
    refuse_other_protocols,
)
from rpc.amqp.codec.methods import decode_method
from rpc.amqp.codec.spec import Definition, load_definition
from rpc.amqp.congestion import Congestion, socket_of
from rpc.amqp.control import ControlChannel
from rpc.amqp.delegate import ConnectionDelegate, Credentials
from rpc.amqp.heartbeat import Heartbeat
from rpc.amqp.output import SECONDS_TO_CLOSE, Output
from rpc.amqp.reads import MOST_AT_ONCE, ReadSize
from rpc.amqp.reasons import Phase, cut_in_handshake
from rpc.amqp.tcp_keepalive import keep_alive
from rpc.amqp.tls import NO_TLS, speaks_no_tls
from rpc.amqp.tuning import Limits
from rpc.errors import AMQPError, BrokerUnreachable, ConnectionClosed, FrameError, HeartbeatMissed
from rpc.interfaces import IClock
from rpc.uri import DEFAULT_SEND_BUFFER_MAX

LOGIN = Phase.LOGIN  # a module name, because every pass of reading asks for it

LARGEST_CHANNEL = 65535
LARGEST_FRAME = 2**32 - 1


class AMQPConnection(txamqp.protocol.AMQClient):
    """One connection, from the protocol header to its end.

    :ivar ready: fires when the virtual host is open; fails with the :class:`~rpc.errors.AMQPError` that says why not.
    :ivar phase: how far the handshake has come; a closed connection keeps it.
    :ivar blocked: why no messages should be published now, else ``None``: the broker's alarm (RabbitMQ extension,
        connection.blocked), or more unsent bytes than ``send_buffer_max``. :meth:`Channel.publish` does not refuse.
    :ivar on_blocked: called with that reason, or ``None``, when it changes.
    :ivar definition: the version of AMQP that both ends speak; 0-9-1 unless it is given.
    :ivar broker: product and version, known after connection.start.
    :ivar channel_max, frame_max, heartbeat: our proposals, then the agreed values (:class:`~rpc.amqp.tuning.Limits`).
    """

    channelClass = Channel

    def __init__(
        self,
        clock: IClock,
        credentials: Credentials,
        vhost: str = "/",
        *,
        name: str = "thrift-amqp-rpc",
        heartbeat: int = 20,
        channel_max: int = 2047,
        frame_max: int = 131072,
        send_buffer_max: int = DEFAULT_SEND_BUFFER_MAX,
        definition: Definition | None = None,
    ) -> None:
        self.definition = definition or load_definition(None)
        super().__init__(ConnectionDelegate(), vhost=vhost, spec=self.definition.spec, heartbeat=0, clock=clock)
        self.credentials = credentials
        self.name = name
        self.heartbeat = heartbeat
        self.channel_max = channel_max
        self.frame_max = frame_max
        self.max_body_frame = LARGEST_PAYLOAD_BEFORE_TUNE
        self.ready: Deferred[AMQPConnection] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self.phase = Phase.LOGIN
        self.broker = BrokerVersion()
        self.reason: Exception | None = None
        self.blocked: str | None = None
        self._blocking = Blocking(name, self._blocking_changed)
        self._congestion: Congestion | None = None
        self._send_buffer_max = send_buffer_max
        self.on_blocked: Callable[[str | None], None] | None = None
        self._closing = False
        self._heart: Heartbeat | None = None
        self._abort_timer = AbortTimer(clock)
        self._reader = FrameReader(self.channels)
        self._reading = False
        self._at_end: list[Callable[[], None]] = []
        self._channel_zero = self._make_channel(0)

    @property
    def max_content(self) -> int:
        """Bytes of a delivery's body, at most: a larger one is not gathered, and its delivery has a
        :class:`~rpc.amqp.codec.frame_reader.CutBody`. No limit unless it is set.
        """
        return self._reader.max_content

    @max_content.setter
    def max_content(self, size: int) -> None:
        self._reader.max_content = size

    # -- life

    def connectionMade(self) -> None:
        """Begin the handshake."""
        if self.closed:  # before it was connected
            self.transport.abortConnection()
            return
        self._target = self.transport
        self.write: Callable[[bytes], None] = self._target.write
        self._output = Output(self.transport)
        socket = socket_of(self.transport)
        if socket is not None and self._send_buffer_max:
            self._congestion = Congestion(
                self.transport, socket, self._send_buffer_max, self._redirect, self._blocking.set_unsent
            )
        plain = self.transport if isinstance(self.transport, Socket) else None  # without TLS in between
        self._reads = ReadSize(plain)
        if plain is not None:
            plain.SEND_LIMIT = MOST_AT_ONCE
        if socket is not None:
            keep_alive(socket.socket)
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)  # a call is one small write, and its caller waits for it
        self.send_init_string()

    def send_init_string(self) -> None:
        """Send the protocol header (AMQP 0-9-1, section 4.2.2)."""
        self.transport.write(self.definition.header)

    def tuned(self, channel_max: int, frame_max: int, heartbeat: int) -> None:
        """Agree on limits with the broker's proposals (AMQP 0-9-1, connection.tune).

        :raises FrameError: 503, they were agreed before; 501, the broker's frames are smaller than AMQP allows.
        """
        if self.phase is not Phase.LOGIN:
            raise FrameError(503, "unexpected connection.tune")
        ours = Limits(self.channel_max, self.frame_max, self.heartbeat)
        agreed = ours.agree(Limits(channel_max, frame_max, heartbeat))
        self.channel_max, self.frame_max, self.heartbeat = agreed.channel_max, agreed.frame_max, agreed.heartbeat
        self.max_body_frame = (self.frame_max or LARGEST_FRAME) - FRAME_OVERHEAD
        self._reader.max_payload = self.max_body_frame
        self.phase = Phase.ENTERING
        if self.heartbeat:
            self._heart = Heartbeat(self.clock, self.heartbeat, self.transport.write, self._silence)

    def opened(self) -> None:
        """Fire ``ready``: the virtual host is open, and the handshake is over."""
        self.phase = Phase.OPEN
        self.ready.callback(self)

    def close(self, reason: object = None, within: float = SECONDS_TO_CLOSE) -> Deferred[None]:
        """Close the connection.

        :param reason: unused; it is in the signature of txAMQP's method.
        :param within: seconds that the broker has; then the connection is aborted. A later call may shorten it.
        :return: fires when the connection is gone; never fails.
        """
        by_us = ConnectionClosed(200, "the connection was closed by this client")
        if not self.connected:
            self.do_close(by_us)
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self.ended.addCallback(gone.callback)
        self._abort_timer.start(within, self.transport.abortConnection)
        if not self._closing:
            self._closing = True
            if self.phase is Phase.OPEN and not self.closed:
                asked = self._channel_zero.connection_close(reply_code=200, reply_text="closed by the client")
                asked.addBoth(lambda _: self.hang_up(by_us))
            else:
                self.hang_up(by_us)
        return gone

    def loseConnection(self) -> None:
        """Close, as a transport does, for a protocol that has this connection as its transport (``endpoint.py``)."""
        self.close()

    def hang_up(self, reason: Exception) -> None:
        """Close for `reason` when the written bytes are sent, and abort after ``SECONDS_TO_CLOSE`` at the latest."""
        self.do_close(reason)
        self._abort_timer.start(SECONDS_TO_CLOSE, self.transport.abortConnection)
        self._output.flush()
        self.transport.loseConnection()

    def do_close(self, reason: Exception) -> None:
        """Close all channels, and fail everything pending, with `reason`. The socket stays open."""
        if self.closed:
            return
        self.closed = True
        self.reason = reason
        self._reader.stopped = True
        if self._heart is not None:
            self._heart.stop()
        if self._congestion is not None:
            self._congestion.stop()
        channels = list(self.channels.values())
        for channel in channels:  # before any owner is told: it may publish on another channel
            channel.mark_closed(reason)
        if not self.ready.called:
            self.ready.errback(reason)
        for channel in channels:
            channel.do_close(reason)
        self.channels.clear()
        for channel in channels:
            channel.parted()

    @property
    def unread(self) -> int:
        """How many bytes of a partial frame have come."""
        return len(self._reader.waiting())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell all that the socket is gone."""
        what = NO_TLS if speaks_no_tls(reason.value) else reason.getErrorMessage()
        if self.phase is Phase.OPEN:
            self.do_close(ConnectionClosed(0, f"the connection ended without connection.close: {what}"))
        else:
            self.do_close(BrokerUnreachable(cut_in_handshake(self.phase, self.frame_max, what)))
        self._reader.clear()
        self._abort_timer.stop()
        self.ended.callback(None)

    def _silence(self) -> None:
        self.do_close(HeartbeatMissed(f"nothing came from the broker for {2 * self.heartbeat} s"))
        self.transport.abortConnection()

    def set_blocked(self, reason: str | None) -> None:
        """Note the broker's alarm, or its end (``None``), and tell the owner."""
        self._blocking.set_alarm(reason)

    def _blocking_changed(self, reason: str | None) -> None:
        self.blocked = reason
        if self.on_blocked is not None:
            try:
                self.on_blocked(reason)
            except Exception:
                log.err(None, "while telling the owner of a connection that it is blocked, or no longer")

    def update_secret(self, secret: str) -> Deferred[Any]:
        """Tell the broker a new password or token for this connection (RabbitMQ extension, connection.update-secret).

        :return: fires when the broker has taken it. Fails when the connection ends: RabbitMQ closes it (530) when it
            does not take the secret.
        """
        return self._channel_zero.connection_update_secret(new_secret=secret.encode(), reason="the secret has changed")

    # -- channels

    def open_channel(self) -> Deferred[Channel]:
        """Open a channel on the lowest free number.

        :return: fires with the channel when the broker has opened it. Fails with :class:`~rpc.errors.AMQPError` when
            all numbers are taken, and as :meth:`Channel.invoke` does. Cancelling it closes the channel.
        """
        if self.closed:
            return fail(self.reason or AMQPError("the connection is closed"))
        limit = self.channel_max or LARGEST_CHANNEL
        number = next((n for n in range(1, limit + 1) if n not in self.channels), None)
        if number is None:
            return fail(AMQPError(f"all {limit} channels of the connection are open: close some, or connect once more"))
        channel = self._make_channel(number)
        return channel.channel_open().addCallbacks(lambda _: channel, self._not_opened, errbackArgs=(channel,))

    def _not_opened(self, failure: Failure, channel: Channel) -> Failure:
        """Close the channel: when opening was cancelled, the broker opens it all the same."""
        channel.close()
        return failure

    def _make_channel(self, number: int) -> Channel:
        channel: Channel = self.channelFactory(number, None, self)
        self.channels[number] = channel
        return channel

    def forget_channel(self, channel: ControlChannel) -> None:
        """Free the number of a channel that both sides have closed."""
        if self.has_channel(channel):
            del self.channels[channel.id]
            channel.parted()

    def has_channel(self, channel: ControlChannel) -> bool:
        """Return whether `channel` still has its number: until both sides have closed it."""
        return self.channels.get(channel.id) is channel

    def channel(self, id: int) -> Deferred[Channel]:
        """Return the open channel of number `id`, for txAMQP's own code. Use :meth:`open_channel`."""
        return succeed(self.channels[id])

    # -- frames

    def send_method(self, channel_id: int, payload: bytes) -> None:
        """Write a method frame."""
        self.write(method_frame(channel_id, payload))

    def write_large(self, parts: list[bytes]) -> None:
        """Write a large message: the transport joins its parts, so they are not joined before."""
        if self._reading:
            self._output.write_large(parts)
        else:
            self._target.writeSequence(parts)

    def _redirect(self, target: Any) -> None:
        """Write to `target` from now on: the transport, or an object before it that counts."""
        self._target = target
        self._output.redirect(target)
        if not self._reading:
            self.write = target.write

    def dataReceived(self, data: bytes) -> None:
        """Read frames: one pass over the bytes at hand, and one write for all output that they cause.

        An ``AMQPError`` is a fault of the bytes, and closes the connection in order. Any other exception is a fault of
        this package: Twisted logs it, and aborts the connection.
        """
        if self.closed:
            return  # AMQP 0-9-1, connection.close: all frames but close-ok are discarded after it
        if self._heart is not None:
            self._heart.silent_ticks = 0
        reads = self._reads
        if not reads.least <= len(data) < reads.size:
            reads.adapt(len(data), self._reader.expected)
        self._reading = True
        self.write = self._output.append
        try:
            if self.phase is LOGIN:
                refuse_other_protocols(self._reader.waiting() + data, self.definition.name)
            self._reader.feed(data)
        except AMQPError as error:
            self._protocol_error(error)
        finally:
            self._end_pass()

    def at_end_of_pass(self, function: Callable[[], None]) -> None:
        """Call `function` when the bytes at hand are read, or in the next reactor turn when none are being read.

        It may write, and may add further functions.
        """
        if self._reading:
            self._at_end.append(function)
        else:
            self.clock.callLater(0, function)

    def _end_pass(self) -> None:
        """Call the functions of :meth:`at_end_of_pass`, then send the output of the pass in one write."""
        try:
            while self._at_end:
                try:
                    self._at_end.pop(0)()
                except Exception:
                    log.err(None, "in a function for the end of a pass of reading")
        finally:
            self._reading = False
            self.write = self._target.write
            self._output.flush()

    def control_arrived(self, channel: Channel, payload: bytes) -> None:
        """Take a control method: an answer for the channel's oldest pending method, or one for the delegate.

        :raises FrameError: it is malformed, unknown, unexpected, or on the wrong channel.
        """
        method, arguments = decode_method(self.spec, payload)
        if (method.klass.name == "connection") != (channel.id == 0):
            raise FrameError(503, f"{method.klass.name}.{method.name} on channel {channel.id}")
        message = Message(method, arguments)
        if method.response:
            channel.answered(message)
        else:
            self.delegate.dispatch(channel, message)

    def _protocol_error(self, error: AMQPError) -> None:
        """Close the connection with the fault of the broker's bytes as reason."""
        log.warn(f"{self.name}: closing the connection: {error}")
        code = getattr(error, "code", 541)
        if self.phase is not Phase.LOGIN and not self.closed:
            self._channel_zero.connection_close(reply_code=code, reply_text=str(error)[:60]).addErrback(lambda _: None)
        self.hang_up(error)
