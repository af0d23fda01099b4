"""A service whose types its own workers describe."""

from __future__ import annotations

from twisted.internet.defer import TimeoutError as WaitedTooLong

from rpc.cli.targets import Target, why_no_module
from rpc.client.connection import Connection
from rpc.client.options import DEFAULT_TIMEOUT, ClientOptions
from rpc.default_reactor import default_reactor
from rpc.errors import CallTimedOut, Outcome, ServiceUnavailable


async def described(connection: Connection, options: ClientOptions, left: float | None) -> Target:
    """Ask the workers of a service.

    :param left: seconds; ``None``: :data:`~rpc.client.options.DEFAULT_TIMEOUT`.
    :raises RPCError: no worker has answered, or given a description that can be used.
    """
    limit = left or DEFAULT_TIMEOUT
    asked = connection.reflect(str(options.name), user_id=options.user_id)
    try:
        return Target.of(await asked.addTimeout(limit, default_reactor()))
    except ServiceUnavailable as error:
        raise ServiceUnavailable(f"{error}{why_no_module(str(options.name))}", error.outcome) from error
    except WaitedTooLong:
        what = f"{options.name}: no worker has described it within {limit:g} s"
        raise CallTimedOut(what, Outcome.NOT_SENT) from None
