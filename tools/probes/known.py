"""The known differences between the embedded broker and RabbitMQ, with reasons; ``docs/broker.md`` lists them."""

from __future__ import annotations

import re

import attrs

from rpc.broker.compatibility import COMPATIBILITY


@attrs.frozen
class Known:
    """An explanation of differences.

    :ivar probe: whose lines differ: ``pika``, ``py-amqp`` or ``amqplib``.
    :ivar lines: a regular expression that begins a line, RabbitMQ's or the embedded broker's: ``scenario: what``.
    :ivar reason: why the embedded broker may differ there.
    :ivar versions: of RabbitMQ that differ, by their major numbers.
    """

    probe: str
    lines: str
    reason: str
    versions: tuple[int, ...] = tuple(COMPATIBILITY)

    def explains(self, *lines: str | None) -> bool:
        """Whether one of two lines that differ is meant."""
        return any(line is not None and re.match(self.lines, line) is not None for line in lines)


_SAYS_WHY = "the connection ends with both; the embedded broker sends the reason, RabbitMQ closes the socket"
_TEXT = "the code is the same; the text is the embedded broker's own"
_TYPES = "the type of a number is not kept, so the text cannot name it"
_NO_TRANSACTIONS = "there are no transactions (class tx): the error is 540"
_SPECIFIED = "the code is the specification's (502, malformed arguments); RabbitMQ's is 501"
_STRICT = "a malformed message is rejected when it is published; RabbitMQ delivers it, or truncates it"
_LATE = "both brokers accept either order of the methods, and answer them differently"
_REPLIES = (
    "RabbitMQ returns mandatory direct replies although it delivers them, and does not count them for confirms; "
    "it closes the connection (541) for an address that it cannot decode"
)
_KEEPS_CC = "RabbitMQ 4 keeps the header CC of a dead letter whose routing key was replaced, and does not use it"
_FRACTIONS = "RabbitMQ 3.10 takes a header 1.0 for equal to an argument 1"
_NO_SUCH_HEADER = "RabbitMQ 4.0 answers an unknown protocol header with the version 1-9-1, which does not exist"

KNOWN: tuple[Known, ...] = (
    Known("pika", r"transactions: ", _NO_TRANSACTIONS),
    Known("py-amqp", r"transactions: ", _NO_TRANSACTIONS),
    Known("pika", r"handshake: ", _SAYS_WHY),
    Known("pika", r"tuning: ", _SAYS_WHY),
    Known("pika", r"broken_methods: (unknown (class|method|kind of field)|method 0\.0|file\.qos)", _SAYS_WHY),
    Known("pika", r"broken_methods: access\.request", "class access is not part of AMQP 0-9-1"),
    Known("pika", r"broken_methods: (cut short|no arguments|table cut short|too many arguments)", _SPECIFIED),
    Known("pika", r"broken_frames: (empty method|half a method's number)", _SPECIFIED),
    Known("pika", r"broken_frames: heartbeat on channel 1", "the specification's code is 501 (section 4.2.7)"),
    Known("pika", r"broken_frames: ", _TEXT),
    Known("pika", r"broken_contents: header cut short", _SPECIFIED),
    Known("pika", r"broken_contents: (more than it says|properties )", _STRICT),
    Known("pika", r"broken_contents: ", _TEXT),
    Known("pika", r"channel_numbers: close-ok of a channel that is not open", _LATE),
    Known("pika", r"closing_channels: close after close-ok", _LATE),
    Known("pika", r"publish_refused: expiration '99999999999999999999'", "RabbitMQ breaks its text over two lines"),
    Known("pika", r"dead_letter_keys: got b'replaced'", _KEEPS_CC, (4,)),
    Known("pika", r"dead_letters_copied: got b'replaced'", _KEEPS_CC, (4,)),
    Known("pika", r"protocol_headers: ", _NO_SUCH_HEADER, (4,)),
    Known("pika", r"reply: ", _REPLIES),
    Known("pika", r"reply_to_the_gone: 29 characters made up", _REPLIES),
    Known("py-amqp", r"queue_bindings: 1\.0: ", _FRACTIONS, (3,)),
    Known("py-amqp", r"queue_arguments_again: .*1000\.0", "Erlang writes a fraction as 1.0e3"),
    Known("py-amqp", r"queue_arguments_again: .*2147483648", _TYPES),
    Known("amqplib", r"queueArguments: ", _TYPES),
    Known("amqplib", r"queueArgumentsAgain: double", "Erlang writes a fraction as 1.0e3"),
    Known("amqplib", r"queueArgumentsAgain: timestamp", "a timestamp is no number; RabbitMQ takes it for its seconds"),
)
"""Each must explain a difference that each of its versions still has."""
