"""Limits on the size of messages and of their parts."""

from typing import Final

MAX_MESSAGE_SIZE: Final = 16 * 1024 * 1024
"""Bytes of a body, unless an option says otherwise. RabbitMQ 4 has the same default (``max_message_size``), and closes
the channel of a peer that publishes a larger message.
"""

MAX_ELEMENTS: Final = 1_000_000
"""Elements of a message, unless an option says otherwise: see ``element_costs.py``. Decoding them takes at most half a
second and 50 MB.
"""

NAME_LIMIT: Final = 1024
"""Bytes of a method's name, so that the head of any message is read at once."""

CONTAINER_LIMIT: Final = 1_000_000
"""Elements of one list, set or map: an empty struct costs a byte on the wire and a hundred in memory."""

STRING_LIMIT: Final = 2**31 - 1
"""Bytes of one string; in effect the limit is the message's size. Thrift's own limit is below 16 MiB."""

NUMBER_LIMIT: Final = 1000
"""Digits of a number in JSON. Python takes quadratic time for a long one."""

NESTING_LIMIT: Final = 64
"""Structs in one another, with the message's own. It is Thrift's limit in binary and compact, for writing and reading
(``TProtocolBase.DEFAULT_RECURSION_DEPTH``).
"""
