"""Errors of clients, with RabbitMQ's texts."""

from __future__ import annotations

from rpc.amqp.codec.spec import load_spec
from rpc.errors import AMQPError

_codes = {constant.id: constant for constant in load_spec().constants.items}


class ProtocolError(AMQPError):
    """A request fails: its channel is closed, or its connection.

    :ivar code: the reply code.
    :ivar text: the reply text, such as ``NOT_FOUND - no queue 'q' in vhost '/'``.
    :ivar key: class and method of the request, in one number; 0 when no method is at fault.
    :ivar ends_connection: whether it is a hard error; a soft one ends the channel alone (AMQP 0-9-1, section 1.2).
    """

    def __init__(self, code: int, text: str, *, ends_connection: bool | None = None) -> None:
        constant = _codes[code]
        self.code = code
        self.text = f"{constant.name.upper().replace('-', '_')} - {text}"
        self.ends_connection = constant.klass == "hard-error" if ends_connection is None else ends_connection
        self.key = 0
        super().__init__(code, self.text)

    @property
    def reply_text(self) -> str:
        """The text, cut to the 255 bytes of a short string, and not within a character."""
        encoded = self.text.encode("utf-8", "surrogateescape")
        return self.text if len(encoded) <= 255 else encoded[:255].decode("utf-8", "ignore")

    def __str__(self) -> str:
        return f"{self.code} {self.text}"
