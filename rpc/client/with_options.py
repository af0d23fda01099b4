"""Changes the options of a client, of Twisted, ``rpc.aio`` or ``rpc.blocking``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from rpc.client.adapters import ClientAdapter
from rpc.client.options import Options
from rpc.client.reflected import ReflectedClient
from rpc.client.stub_client import Client

if TYPE_CHECKING:  # Python has it from 3.11 on
    from typing_extensions import Unpack

C = TypeVar("C")


def with_options(client: C, **options: Unpack[Options]) -> C:
    """Return a client of the same service on the same connection, with other options.

    :raises TypeError: an option is unknown, or `client` is no client.
    :raises ConfigurationError: an option has a wrong value.
    """
    given: object = client
    if not isinstance(given, (Client, ReflectedClient, ClientAdapter)):
        raise TypeError(f"{given!r} is no client; give one made by connection.client(stub)")
    return cast(C, given.__replace__(**options))
