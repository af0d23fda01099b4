"""Which errors of the broker are refusals that another attempt would only repeat. Pure."""

from __future__ import annotations

import re

from rpc.errors import AuthenticationFailed, ChannelClosed, DeclarationRefused, VersionRefused, VirtualHostRefused
from rpc.reply_codes import ACCESS_REFUSED

_CONNECTION_LIMIT = re.compile(r"connection limit \(\S+\) is reached(?: \(virtual host '.*'\))?$")
"""RabbitMQ's words for the limits of a virtual host, a user and a node. This library appends the virtual host."""

_IN_EXCLUSIVE_USE = "ACCESS_REFUSED - queue '"
"""How RabbitMQ's answer begins when another consumer has the queue for itself. The end, "in exclusive use", is cut off
behind a long name. The answer to a missing permission begins with "access to".
"""


def is_permanent(error: BaseException) -> bool:
    """Return whether the broker will refuse the next attempt as well, until an operator changes something.

    A wrong user name or password, a virtual host that does not exist or is forbidden, a missing permission on a queue
    or an exchange, a queue or an exchange that is missing or has other arguments, and another version of AMQP. A
    connection limit is not permanent, although RabbitMQ uses the same code (530): it ends when other connections close
    (https://www.rabbitmq.com/docs/vhosts#limits). Nor is a broker that cannot be reached.
    """
    if isinstance(error, VirtualHostRefused):
        return not _CONNECTION_LIMIT.search(error.text)
    if isinstance(error, (AuthenticationFailed, DeclarationRefused, VersionRefused)):
        return True
    if isinstance(error, ChannelClosed) and error.code == ACCESS_REFUSED:
        return not error.text.startswith(_IN_EXCLUSIVE_USE)
    return False
