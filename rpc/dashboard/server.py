"""The dashboard as an ``IService``: its port, and its connection to the broker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred

from rpc.client.connection import Connection
from rpc.dashboard.access import SHORTEST_TOKEN, Access, is_loopback
from rpc.dashboard.audience import Audience
from rpc.dashboard.pages import FORM_SIZE, guarded
from rpc.dashboard.source import BrokerSource, BrokerWatch
from rpc.errors import ConfigurationError
from rpc.log_limit import LogLimit
from rpc.monotonic import monotonic_reactor
from rpc.serving.page_connections import PageSite
from rpc.serving.pages import address, listen
from rpc.uri import BrokerURI

LOOPBACK: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8088


class Dashboard(Service):
    """A page about all workers of a virtual host, and their services.

    It asks workers and broker once a second while a page is open, and else not at all.
    """

    def __init__(
        self,
        broker: BrokerURI,
        *,
        interface: str = LOOPBACK,
        port: int = DEFAULT_PORT,
        token: str | None = None,
        services: Iterable[str] = (),
        user_id: bool = False,
        reactor: Any,
    ) -> None:
        """
        :param interface: the address to listen on.
        :param port: 0 for a free one.
        :param token: a browser must show it; ``None``: there is none, which is for loopback only.
        :param services: are shown even if no worker has served them while the page was open.
        :param user_id: names the URL's user, for workers that answer some users only.
        :raises ConfigurationError: a wrong argument.
        """
        if token is None and not is_loopback(interface):
            raise ConfigurationError(f"interface={interface}: others than this machine reach it: give a token")
        if token is not None and len(token) < SHORTEST_TOKEN:
            raise ConfigurationError(f"the token has {len(token)} characters: it must have {SHORTEST_TOKEN} or more")
        if token is not None and not (token.isascii() and token.isprintable() and token == token.strip()):
            raise ConfigurationError("the token must be of letters, digits and punctuation of ASCII, as headers are")
        clock = monotonic_reactor(reactor)
        watch = BrokerWatch()
        self._reactor = reactor
        self._interface, self._port = interface, port
        self._connection = Connection(broker, interceptors=[watch], reactor=reactor)
        source = BrokerSource(clock, self._connection, watch, str(broker), services, user_id=user_id)
        self._audience = Audience(clock, source)
        self._wrong_tokens = LogLimit(clock)
        self._root = guarded(Access(token), self._audience.admit, self._note_wrong_token)
        self._listener: Any = None

    @property
    def url(self) -> str:
        """The page's address, while it is served."""
        return f"{address(self._listener)}/"

    def startService(self) -> None:
        """Listen, and begin to connect.

        :raises CannotListen: the port or the interface cannot be used.
        """
        site = PageSite(self._root, self._reactor, FORM_SIZE)
        self._listener = listen(self._reactor, site, self._interface, self._port)
        self._connection.startService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """End all pages, and close the connection. Fires when this is done."""
        super().stopService()
        self._audience.close()
        self._wrong_tokens.stop()
        stopped = [maybeDeferred(self._listener.stopListening), maybeDeferred(self._connection.stopService)]
        return gatherResults(stopped, consumeErrors=True).addCallback(lambda _: None)

    def _note_wrong_token(self, client: str) -> None:
        self._wrong_tokens.note(lambda: f"dashboard: a client at {client} has shown a wrong token")
