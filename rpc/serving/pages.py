"""Pages over HTTP for programs that watch this one: probes of an orchestrator, and Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from errno import EACCES, EADDRINUSE
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.web.pages import errorPage, notFound
from twisted.web.resource import Resource
from twisted.web.server import Request

from rpc import log
from rpc.serving.page_connections import PageSite
from rpc.uri import host_and_port

METHODS: Final = "GET, HEAD"


class Page(Resource):
    """A page, or a folder of pages. It can only be read."""

    def getChild(self, path: bytes, request: Request) -> Any:
        """Return the page of an unknown name. Twisted's own one is deprecated."""
        return notFound()

    def render(self, request: Request) -> Any:
        """Write the page, for methods that change nothing."""
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("allow", METHODS)
            return errorPage(405, "Method Not Allowed", "Use GET.").render(request)
        return super().render(request)

    def render_GET(self, request: Request) -> Any:
        """Return that a folder is no page."""
        return notFound().render(request)

    def render_HEAD(self, request: Request) -> Any:
        """Write the head of the answer to GET. Twisted would write a line to the log about each body that it drops."""
        body = self.render_GET(request)
        if not isinstance(body, bytes) or not body:
            return body
        request.setHeader(b"content-length", str(len(body)).encode())
        return b""


def site(pages: Mapping[str, Page], reactor: Any) -> PageSite:
    """Return a site with the pages, by their names."""
    root = Page()
    for name, page in pages.items():
        root.putChild(name.encode(), page)
    return PageSite(root, reactor)


class CannotListen(Exception):
    """A port or interface cannot be used; the message names the option, and the reason."""


def listen(reactor: Any, factory: Any, interface: str, port: int, options: str = "") -> Any:
    """Listen on a port.

    :param options: the beginning of the options' names in the error: ``<options>port`` and ``<options>interface``.
    :raises CannotListen: see there.
    """
    try:
        return reactor.listenTCP(port, factory, interface=interface)
    except CannotListenError as error:
        reason = getattr(error.socketError, "strerror", None) or error.socketError
        wrong = "port" if getattr(error.socketError, "errno", None) in (EADDRINUSE, EACCES) else "interface"
        raise CannotListen(f"--{options}{wrong}: cannot listen on {interface} port {port}: {reason}") from error
    except OSError as error:  # the interface is no address
        raise CannotListen(f"--{options}interface: {interface}: {error.strerror or error}") from error


def address(listener: Any) -> str:
    """Return the URL of a port."""
    host = listener.getHost()
    return f"http://{host_and_port(host.host, host.port)}"


@attrs.frozen
class Asked:
    """Pages, and the address that the user has chosen for them.

    :ivar option: the middle of the options' names: ``--<option>-port`` and ``--<option>-interface``.
    :ivar port: 0 for a free one.
    """

    option: str
    interface: str
    port: int
    pages: Mapping[str, Page]


class PageServer:
    """Pages on one port."""

    def __init__(self, reactor: Any, asked: list[Asked], announce: Callable[[int], object] | None = None) -> None:
        """
        :param asked: pages of one address.
        :param announce: is told the port. Without it, the log has the pages' addresses.
        """
        self._reactor = reactor
        self._first = asked[0]
        self._pages = {name: page for each in asked for name, page in each.pages.items()}
        self._announce = announce or self._log_addresses
        self._listener: Any = None

    def listen(self) -> str | None:
        """Listen. Return the problem in words, or ``None`` when there is none."""
        first, pages = self._first, site(self._pages, self._reactor)
        try:
            self._listener = listen(self._reactor, pages, first.interface, first.port, f"{first.option}-")
        except CannotListen as error:
            return str(error)
        self._announce(self._listener.getHost().port)
        return None

    def _log_addresses(self, _: int) -> None:
        here = address(self._listener)
        log.msg(f"pages: {', '.join(f'{here}/{name}' for name in self._pages)}")

    def close(self) -> Deferred[None]:
        """Close the port. Fires when it is closed."""
        listener, self._listener = self._listener, None
        return succeed(None) if listener is None else maybeDeferred(listener.stopListening)


def page_servers(
    reactor: Any, asked: Iterable[Asked], announce: Callable[[int], object] | None = None
) -> list[PageServer]:
    """Return a server for each address. Options that name the same address share it."""
    addresses: dict[tuple[str, int], list[Asked]] = {}
    for each in asked:
        addresses.setdefault((each.interface, each.port), []).append(each)
    return [PageServer(reactor, one, announce) for one in addresses.values()]
