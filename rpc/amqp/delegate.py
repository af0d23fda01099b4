"""The broker's methods on a connection: txAMQP's delegate, with the methods it lacks."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from txamqp.client import TwistedDelegate
from txamqp.message import Message

from rpc import log
from rpc.amqp.brokers import BrokerVersion
from rpc.amqp.reasons import Phase, channel_closed, connection_closed
from rpc.errors import AuthenticationFailed, FrameError
from rpc.reply_codes import ACCESS_REFUSED
from rpc.version import DISTRIBUTION, __version__

if TYPE_CHECKING:
    from rpc.amqp.channel import Channel
    from rpc.amqp.codec.spec import Definition
    from rpc.amqp.protocol import AMQPConnection

CAPABILITIES = {
    "publisher_confirms": "confirm.select",
    "exchange_exchange_bindings": "exchange.bind",
    "basic.nack": "basic.nack",
    "consumer_cancel_notify": "basic.cancel",
    "connection.blocked": "connection.blocked",
    "authentication_failure_close": "connection.close",
}
"""What this client can do (RabbitMQ extension), with the method that it needs in the definition of AMQP. RabbitMQ would
send connection.blocked to a client that names it, whether the version has it or not.
"""

CHANNEL_CLOSE_OK = b"\x00\x14\x00\x29"
"""The payload of channel.close-ok. It is sent even on a channel that takes no other method any more."""


@attrs.frozen
class Credentials:
    """How to log in.

    :ivar mechanism: ``"PLAIN"`` (user name and password) or ``"EXTERNAL"`` (the TLS certificate names the user).
    """

    username: str = "guest"
    password: str = attrs.field(default="guest", repr=False)
    mechanism: str = "PLAIN"

    @property
    def user(self) -> str | None:
        """The name by which the broker knows the user, as far as the URL tells it. ``None``: with ``EXTERNAL``, a URL
        without a name, where the certificate has it.
        """
        return None if self.mechanism == "EXTERNAL" and self.username == "guest" else self.username

    def response(self) -> bytes:
        """The SASL response."""
        if self.mechanism == "EXTERNAL":
            return b""
        return f"\0{self.username}\0{self.password}".encode()


class ConnectionDelegate(TwistedDelegate):
    """Answers the broker's methods for one connection. A method it has no handler for ends the connection (540)."""

    client: AMQPConnection

    def connection_start(self, channel: Channel, message: Message) -> None:
        """Log in (AMQP 0-9-1, connection.start)."""
        if self.client.phase is not Phase.LOGIN:
            raise FrameError(503, "unexpected connection.start")
        self.client.broker = BrokerVersion.read(message.server_properties)
        credentials = self.client.credentials
        offered = bytes(message.mechanisms).decode("ascii", "replace").split()
        if credentials.mechanism not in offered:
            raise AuthenticationFailed(
                ACCESS_REFUSED, f"the broker takes logins by {', '.join(offered)}, not by {credentials.mechanism}"
            )
        self._reply(
            channel.connection_start_ok(
                client_properties=client_properties(self.client.name, self.client.definition),
                mechanism=credentials.mechanism,
                response=credentials.response(),
                locale="en_US",
            )
        )

    def connection_tune(self, channel: Channel, message: Message) -> None:
        """Agree on limits and heartbeat, then enter the virtual host (connection.tune, connection.open)."""
        client = self.client
        client.tuned(message.channel_max, message.frame_max, message.heartbeat)
        self._reply(
            channel.connection_tune_ok(
                channel_max=client.channel_max, frame_max=client.frame_max, heartbeat=client.heartbeat
            )
        )
        channel.connection_open(virtual_host=client.vhost).addCallbacks(
            lambda _: client.opened(), lambda failure: client.hang_up(failure.value)
        )

    def connection_close(self, channel: Channel, message: Message) -> None:
        """The broker ends the connection, with a reason."""
        self._reply(channel.connection_close_ok())
        client = self.client
        code, text = message.reply_code, message.reply_text
        client.hang_up(connection_closed(client.phase, code, text, client.credentials.username, client.vhost))

    def connection_blocked(self, channel: Channel, message: Message) -> None:
        """The broker takes no messages: a memory or disk alarm (https://www.rabbitmq.com/docs/connection-blocked)."""
        log.warn(f"{self.client.name}: the broker is blocked: {message.reason}")
        self.client.set_blocked(message.reason or "no reason given")

    def connection_unblocked(self, channel: Channel, message: Message) -> None:
        """The alarm is over (RabbitMQ extension)."""
        log.msg(f"{self.client.name}: the broker takes messages again")
        self.client.set_blocked(None)

    def channel_flow(self, channel: Channel, message: Message) -> None:
        """Agree (AMQP 0-9-1, channel.flow). RabbitMQ does not send it."""
        self._reply(channel.channel_flow_ok(active=message.active))

    def channel_close(self, channel: Channel, message: Message) -> None:
        """The broker ends one channel; the others go on.

        When we have closed it as well, both closes are answered, and the number is free with the broker's close-ok.
        """
        self.client.send_method(channel.id, CHANNEL_CLOSE_OK)
        if not channel.closed:
            self.client.forget_channel(channel)
            failed = message.class_id, message.method_id
            channel.do_close(channel_closed(message.reply_code, message.reply_text, failed))

    def basic_cancel(self, channel: Channel, message: Message) -> None:
        """The broker ends a consumer (RabbitMQ extension: consumer cancel notification)."""
        if not getattr(message, "nowait", False):  # a file may name the field otherwise
            self._reply(channel.basic_cancel_ok(consumer_tag=message.consumer_tag))
        channel.consumer_cancelled(message.consumer_tag)

    def dispatch(self, channel: Channel, message: Message) -> Any:
        """Call the handler of `message`."""
        try:
            return super().dispatch(channel, message)
        except AttributeError as error:
            if error.obj is not self:
                raise
            name = f"{message.method.klass.name}.{message.method.name}"
            raise FrameError(540, f"{name} is not implemented") from error

    def _reply(self, sent: Deferred[Any]) -> None:
        """End the connection when an answer cannot be sent: the broker would wait for it for ever."""

        def give_up(failure: Any) -> None:
            self.client.hang_up(failure.value)

        sent.addErrback(give_up)


def client_properties(name: str, definition: Definition) -> dict[str, Any]:
    """Return the properties of this client that the broker's operators see."""
    return {
        "product": DISTRIBUTION,
        "version": __version__,
        "platform": f"Python {platform.python_version()}, Twisted {version('twisted')}",
        "connection_name": name,
        "capabilities": {name: True for name, method in CAPABILITIES.items() if definition.has(method)},
    }
