"""Ids of calls, which their replies repeat."""

from __future__ import annotations

from binascii import hexlify
from os import urandom

from rpc.amqp.codec.fields import SHORT_LENGTHS

ID_BYTES = 16
"""Random bytes of an id. It is sent as hexadecimal digits, two a byte."""

DIGITS = 2 * ID_BYTES
LENGTH = SHORT_LENGTHS[DIGITS]

BATCH = 64
"""Ids that are drawn together. The system call for one id takes as long as a thirtieth of a call."""


def random_ids() -> list[bytes]:
    """Return new ids, encoded as short strings (AMQP 0-9-1, section 4.2.5.3).

    A peer that has seen other calls cannot guess an id. So it can neither answer nor cancel the call.
    """
    digits = hexlify(urandom(BATCH * ID_BYTES))
    return [LENGTH + digits[begin : begin + DIGITS] for begin in range(0, len(digits), DIGITS)]
