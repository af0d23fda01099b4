"""``/live`` and ``/ready`` over HTTP, for orchestrators such as Kubernetes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.web.pages import errorPage, notFound
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from rpc import log
from rpc.worker.readiness import Readiness

TIMEOUT: Final = 10
"""Seconds that a client may take for its request. Twisted closes its connection then."""


class _Folder(Resource):
    """Pages by name."""

    def getChild(self, path: bytes, request: Request) -> Any:
        """Return the page of an unknown name. Twisted's own one is deprecated."""
        return notFound()

    def render(self, request: Request) -> Any:
        """Write the page, for methods that change nothing."""
        if request.method not in (b"GET", b"HEAD"):
            return errorPage(405, "Method Not Allowed", "Use GET.").render(request)
        return super().render(request)


class _Page(_Folder):
    """One line of text, with the status 200 or 503."""

    def __init__(self, look: Callable[[], tuple[bool, str]]) -> None:
        super().__init__()
        self._look = look

    def render_GET(self, request: Request) -> bytes:
        good, text = self._look()
        request.setResponseCode(200 if good else 503)
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setHeader(b"cache-control", b"no-store")
        return f"{text}\n".encode()


class _QuietSite(Site):
    """A site without lines in the log: probes come every few seconds."""

    noisy = False

    def log(self, request: object) -> None:
        """Do nothing."""


def site(readiness: Callable[[], Readiness], reactor: Any) -> Site:
    """Return the pages. ``/live`` is always 200: a reactor that is blocked, or a process that is gone, gives no answer.

    ``/ready`` is 200 while requests are taken, else 503, with the reason as text.
    """
    root = _Folder()
    root.putChild(b"live", _Page(lambda: (True, "live")))
    root.putChild(b"ready", _Page(lambda: (readiness() is Readiness.READY, readiness().value)))
    pages = _QuietSite(root, timeout=TIMEOUT, reactor=reactor)
    pages.displayTracebacks = False
    return pages


class HealthServer:
    """The pages on a port."""

    def __init__(self, reactor: Any, interface: str, port: int, readiness: Callable[[], Readiness]) -> None:
        """:param port: 0 for a free one, which the log names."""
        self._reactor = reactor
        self._interface = interface
        self._port = port
        self._readiness = readiness
        self._listener: Any = None

    def listen(self) -> str | None:
        """Listen. Return why this is not possible, or ``None``."""
        try:
            self._listener = self._reactor.listenTCP(
                self._port, site(self._readiness, self._reactor), interface=self._interface
            )
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or error.socketError
            return f"--health-port: cannot listen on {self._interface} port {self._port}: {reason}"
        except OSError as error:  # the interface is no address
            return f"--health-interface: {self._interface}: {error.strerror or error}"
        host = self._listener.getHost()
        log.msg(f"health: http://{_in_url(host.host)}:{host.port}/live and /ready")
        return None

    def close(self) -> Deferred[None]:
        """Listen no more. Fires when this is so."""
        listener, self._listener = self._listener, None
        return succeed(None) if listener is None else maybeDeferred(listener.stopListening)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
