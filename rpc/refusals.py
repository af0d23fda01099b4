"""Which errors of the broker are refusals that another attempt would only repeat. Pure."""

from __future__ import annotations

from rpc.errors import AuthenticationFailed, ChannelClosed, DeclarationRefused, VirtualHostRefused

ACCESS_REFUSED = 403


def is_permanent(error: BaseException) -> bool:
    """Return whether the broker will refuse the next attempt as well, until an operator changes something.

    A wrong user name or password, a virtual host that does not exist or is forbidden, a missing permission on a queue
    or an exchange, and a queue or an exchange that exists with other arguments. Not a limit of connections, which
    RabbitMQ reports with the same code (530) and the words "connection limit is reached"
    (https://www.rabbitmq.com/docs/vhosts#limits): other connections end. Not a broker that cannot be reached.
    """
    if isinstance(error, VirtualHostRefused):
        return "limit" not in error.text
    if isinstance(error, ChannelClosed) and error.code == ACCESS_REFUSED:
        return True
    return isinstance(error, (AuthenticationFailed, DeclarationRefused))
