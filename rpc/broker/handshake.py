"""Channel 0: login, tuning, virtual host, and the close of a connection
(AMQP 0-9-1, section 4.10 and class connection).
"""

from __future__ import annotations

import enum
import platform
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from rpc.amqp.brokers import EMBEDDED
from rpc.amqp.codec.frames import SMALLEST_FRAME_MAX
from rpc.amqp.codec.methods import decode_method
from rpc.amqp.codec.spec import load_spec
from rpc.broker.login_pauses import WRONG_LOGIN, Failures
from rpc.broker.mechanisms import MECHANISMS
from rpc.broker.protocol_error import ProtocolError
from rpc.errors import FrameError
from rpc.reply_codes import ACCESS_REFUSED, CHANNEL_ERROR, COMMAND_INVALID, NOT_ALLOWED

if TYPE_CHECKING:
    from rpc.broker.connection import BrokerConnection

OFFERED: Final = " ".join(MECHANISMS)

CAPABILITIES: Final = {
    "publisher_confirms": True,
    "exchange_exchange_bindings": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "consumer_priorities": True,
    "authentication_failure_close": True,
    "per_consumer_qos": True,
    "direct_reply_to": True,
}

_HEEDED: Final = ("authentication_failure_close", "connection.blocked", "consumer_cancel_notify")
"""Capabilities of clients that have an effect here. Others are not kept: a client may name thousands."""


class State(enum.Enum):
    """The method that a connection expects next."""

    HEADER = "the protocol header"
    START_OK = "connection.start-ok"
    PAUSE = "nothing until the login is checked"
    TUNE_OK = "connection.tune-ok"
    OPEN = "connection.open"
    RUNNING = "anything"
    CLOSING = "connection.close-ok"


class ChannelZero:
    """Receives the methods of class connection.

    :ivar state: the method that is expected next.
    """

    def __init__(self, connection: BrokerConnection) -> None:
        self.state = State.HEADER
        self._connection = connection
        self._broker = connection.broker
        self._mechanism = ""
        self._end_of_pause: Callable[[], None] | None = None
        self._handlers: Mapping[tuple[State, str], Callable[..., None]] = {
            (State.START_OK, "connection.start-ok"): self._start_ok,
            (State.TUNE_OK, "connection.tune-ok"): self._tune_ok,
            (State.OPEN, "connection.open"): self._open,
            (State.RUNNING, "connection.update-secret"): self._update_secret,
            (State.CLOSING, "connection.close-ok"): self._close_ok,
        }

    def header_received(self) -> None:
        """Send ``connection.start``: the client speaks AMQP 0-9-1."""
        properties = {
            "capabilities": CAPABILITIES,
            "cluster_name": "embedded",
            "copyright": "the thrift-amqp-rpc authors",
            "information": "for trying, developing and testing; not for production",
            "platform": f"Python {platform.python_version()}",
            "product": EMBEDDED,
            "version": "0-9-1",
        }
        self.state = State.START_OK
        self._connection.reply("connection.start", 0, 9, properties, OFFERED, "en_US")

    def method_arrived(self, key: int, buffer: bytes, start: int, end: int) -> None:
        """Take a method that is expected now, or ``connection.close``."""
        try:
            method, arguments = decode_method(load_spec(), buffer[start - 4 : end])
            name = f"{method.klass.name}.{method.name}"
            if name == "connection.close":
                self._close()
                return
            handler = self._handlers.get((self.state, name))
            if handler is not None:
                handler(*arguments)
            elif self.state is State.RUNNING:
                raise ProtocolError(CHANNEL_ERROR, "unexpected method in connection state running")
            elif self.state is not State.CLOSING:
                raise ProtocolError(COMMAND_INVALID, f"{name} where {self.state.value} was expected")
        except ProtocolError as error:
            error.key = key
            self._connection.close_with_error(error)
        except FrameError as error:
            self._connection.close_with_error(ProtocolError(error.code, error.text, ends_connection=True))

    def content_arrived(
        self, key: int, buffer: bytes, start: int, end: int, encoded_properties: bytes, body: bytes
    ) -> None:
        """Channel 0 has no contents."""
        self._connection.close_with_error(ProtocolError(CHANNEL_ERROR, "content on channel 0"))

    def content_too_large(self, size: int) -> None:
        """Channel 0 has no contents."""
        self._connection.close_with_error(ProtocolError(CHANNEL_ERROR, "content on channel 0"))

    def _start_ok(self, properties: Mapping[str, Any], mechanism: str, response: bytes, locale: str) -> None:
        connection = self._connection
        capabilities = properties.get("capabilities")
        named = capabilities if isinstance(capabilities, dict) else {}
        connection.capabilities = {name: True for name in _HEEDED if named.get(name) is True}
        name = properties.get("connection_name")
        connection.name = name[:255] if isinstance(name, str) else connection.peer
        read_response = MECHANISMS.get(mechanism)
        if read_response is None:
            raise ProtocolError(NOT_ALLOWED, f"the broker supports the mechanisms {OFFERED}, not '{mechanism}'")
        self._mechanism = mechanism
        user, password = read_response(response)
        failures = self._broker.login_pauses.failures_of(user, connection.host)
        pause = failures.next_pause(self._broker.clock.seconds())
        if pause is None:
            self._reject_login(user, WRONG_LOGIN, "not checked, because several logins of this name pause already")
        elif pause:
            self._pause(failures, pause, lambda: self._check_login(user, password))
        else:
            self._check_login(user, password)

    def _pause(self, failures: Failures, seconds: float, check: Callable[[], None]) -> None:
        """Check a login later: others have failed before (:mod:`rpc.broker.login_pauses`)."""
        self.state = State.PAUSE
        failures.begin_pause()

        def end() -> None:
            failures.end_pause()
            self._end_of_pause = None
            timer.stop()
            if self.state is State.PAUSE:
                check()

        self._end_of_pause = end
        timer = self._broker.timer(end)
        timer.start(seconds)

    def closing(self) -> None:
        """Expect ``connection.close-ok`` alone; check no login any more."""
        self.state = State.CLOSING
        if self._end_of_pause is not None:
            self._end_of_pause()

    def _check_login(self, user: str, password: str) -> None:
        connection, pauses = self._connection, self._broker.login_pauses
        problem = self._broker.login_problem(user, password, connection.host)
        if problem is not None:
            pauses.add_failure(user, connection.host)
            self._reject_login(user, problem, problem)
            return
        pauses.forget_failures(user, connection.host)
        connection.user = user
        self.state = State.TUNE_OK
        limits = self._broker.limits
        connection.reply("connection.tune", limits.channels, limits.frame, limits.heartbeat)

    def _reject_login(self, user: str, problem: str, logged: str) -> None:
        """Close with the reason; hang up on a client without ``authentication_failure_close`` (RabbitMQ extension)."""
        self._broker.log(f"login of {user!r} from {self._connection.peer} rejected: {logged}")
        refused = f"Login was refused using authentication mechanism {self._mechanism}."
        text = f"{refused} For details see the broker logfile." if problem == WRONG_LOGIN else problem
        if self._connection.capabilities.get("authentication_failure_close") is True:
            self._connection.close_with_error(ProtocolError(ACCESS_REFUSED, text, ends_connection=True))
        else:
            self._connection.hang_up()

    def _tune_ok(self, channel_max: int, frame_max: int, heartbeat: int) -> None:
        limits = self._broker.limits
        if 0 < frame_max < SMALLEST_FRAME_MAX:
            problem = f"negotiated frame_max = {frame_max} is lower than the minimum allowed value"
            raise ProtocolError(NOT_ALLOWED, f"{problem} ({SMALLEST_FRAME_MAX})")
        for name, agreed, most in (
            ("channel_max", channel_max, limits.channels),
            ("frame_max", frame_max, limits.frame),
        ):
            if agreed == 0 or agreed > most:
                shown = agreed or "no limit,"
                raise ProtocolError(
                    NOT_ALLOWED, f"negotiated {name} = {shown} is higher than the maximum allowed value ({most})"
                )
        self._connection.tuned(channel_max, frame_max, heartbeat)
        self.state = State.OPEN

    def _open(self, name: str, *_: object) -> None:
        vhost = self._broker.vhosts.get(name)
        if vhost is None:
            raise ProtocolError(NOT_ALLOWED, f"vhost {name} not found")
        self.state = State.RUNNING
        self._connection.opened(vhost)
        self._connection.reply("connection.open-ok", "")

    def _update_secret(self, secret: bytes, reason: str) -> None:
        """RabbitMQ extension for tokens that expire. A password does not, so there is nothing to check."""
        self._connection.reply("connection.update-secret-ok")
        self._connection.input.end_slice_if_over()  # no other method of this class can come again and again

    def _close(self) -> None:
        self._connection.close_channels()
        self._connection.reply("connection.close-ok")
        self._connection.hang_up()

    def _close_ok(self) -> None:
        self._connection.hang_up()
