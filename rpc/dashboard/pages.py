"""The pages over HTTP: the files of the page, its events, and the form that asks for the token."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any, Final

from twisted.web.http import CACHED, SEE_OTHER
from twisted.web.pages import errorPage
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rpc.dashboard.access import COOKIE, Access, Credentials, Verdict
from rpc.serving.pages import Page

HEADERS: Final = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-cache",
}
"""Of every answer. A browser runs and loads only our own files, whatever text of peers the page shows."""

TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}

FILES: Final = (
    "style.css",
    "favicon.svg",
    "main.js",
    "stream.js",
    "model.js",
    "table.js",
    "charts.js",
    "columns.js",
    "format.js",
    "uplot/uPlot.iife.min.js",
    "uplot/uPlot.min.css",
)
"""Files that the page loads, from :mod:`rpc.dashboard`'s folder ``static``."""

FORM_SIZE: Final = 4096
"""Bytes of the form with the token."""

STATIC: Final = b"static"

WRONG_MARK: Final = b"<!-- wrong -->"
WRONG_TOKEN: Final = (
    b'<p role="alert">That was not the token of this page. A restarted dashboard may have a new one.</p>'
)
"""The form has it in the place of the mark, after a wrong token."""


class File(Page):
    """A file of the package, which is read once."""

    def __init__(self, name: str, status: int = 200, mark: bytes = b"", text: bytes = b"") -> None:
        """:param text: replaces `mark` in the file."""
        super().__init__()
        path = resources.files("rpc.dashboard").joinpath("static", *name.split("/"))
        self._content = path.read_bytes().replace(mark, text) if mark else path.read_bytes()
        self._type = TYPES[name[name.rindex(".") :]]
        self._status = status

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"content-type", self._type)
        request.setResponseCode(self._status)
        if self._status == 200 and request.setETag(f'"{hash(self._content):x}"'.encode()) is CACHED:
            return b""
        return self._content


class Events(Page):
    """The stream of events, for as long as the browser reads."""

    def __init__(self, admit: Callable[[Request, str | None], bool]) -> None:
        """:param admit: begins a stream for a request and a service; ``False``: there are too many."""
        super().__init__()
        self._admit = admit

    def render_HEAD(self, request: Request) -> bytes:
        request.setHeader(b"content-type", b"text/event-stream")
        return b""

    def render_GET(self, request: Request) -> Any:
        if request.getHeader(b"sec-fetch-site") in (b"cross-site", b"same-site"):
            # It could not read the events, but keep the user's own pages out (W3C, "Fetch Metadata Request Headers").
            return errorPage(403, "Forbidden", "Another site has asked for the events.").render(request)
        request.setHeader(b"content-type", b"text/event-stream")
        request.setHeader(b"x-accel-buffering", b"no")  # nginx would gather the events
        names = request.args.get(b"service")
        service = None if not names else names[0].decode("utf-8", "replace")
        if self._admit(request, service):
            return NOT_DONE_YET
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setResponseCode(503)
        return b"too many pages are open: close some\n"


class Entrance(Page):
    """Takes the token, from the form or from the address, and has the browser keep a cookie instead."""

    def __init__(self, access: Access, wrong: Callable[[str], object]) -> None:
        """:param wrong: is told the addresses of clients with a wrong token."""
        super().__init__()
        self._access = access
        self._wrong = wrong
        self._form = File("login.html", 401)
        self._form_again = File("login.html", 401, WRONG_MARK, WRONG_TOKEN)

    def render(self, request: Request) -> Any:
        """Let a browser in that has the token, and ask others for it."""
        token = given_token(request)
        if token is not None and self._access.is_token(token):
            cookie = cookie_name(request), self._access.session.encode()
            # With "strict", a browser would not send it after a link in a mail. No page changes anything.
            request.addCookie(*cookie, path=b"/", httpOnly=True, sameSite=b"lax")
            request.setResponseCode(SEE_OTHER)
            request.setHeader(b"location", b"./")  # without the token
            return b""
        if token is not None:
            self._wrong(request.getClientAddress().host)
        request.setHeader(b"www-authenticate", b"Bearer")
        form = self._form if token is None else self._form_again
        return form.render_HEAD(request) if request.method == b"HEAD" else form.render_GET(request)


def given_token(request: Request) -> str | None:
    """Return the token in the address or in the form."""
    values = request.args.get(b"token")
    return values[0].decode("utf-8", "replace").strip() if values else None


def cookie_name(request: Request) -> bytes:
    """Return the name of our cookie. Browsers send cookies to all ports of a host, so the name has the port."""
    return f"{COOKIE}-{request.getHost().port}".encode()


def credentials(request: Request) -> Credentials:
    """Return the proofs in a request."""

    def text(value: bytes | None) -> str:
        return (value or b"").decode("latin-1")

    return Credentials(
        host=text(request.getHeader(b"host")),
        authorization=text(request.getHeader(b"authorization")),
        cookie=text(request.getCookie(cookie_name(request))),
    )


class Guard(Resource):
    """The root: sees every request first."""

    def __init__(self, access: Access, pages: Page, entrance: Entrance) -> None:
        """:param pages: for requests that are allowed."""
        super().__init__()
        self._access = access
        self._pages = pages
        self._entrance = entrance
        self._foreign = File("foreign.html", 403)

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:
        """Return the page, or the one that says why the request is refused."""
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        verdict = self._access.verdict(credentials(request))
        if verdict is Verdict.FOREIGN_HOST:
            return _only(self._foreign, request)
        # The files are those of the package, so they tell nothing.
        if verdict is Verdict.NO_TOKEN and path != STATIC:
            return _only(self._entrance, request)
        if given_token(request) is not None:  # of a browser that has the cookie already: the address loses it
            return _only(self._entrance, request)
        return self._pages.getChildWithDefault(path, request)


def _only(page: Page, request: Request) -> Page:
    """Return the page as the answer for the whole path."""
    request.postpath = []
    return page


def guarded(
    access: Access, admit: Callable[[Request, str | None], bool], wrong_token: Callable[[str], object]
) -> Guard:
    """Return the root of the site."""
    pages, folder = Page(), Page()
    pages.putChild(b"", File("index.html"))
    pages.putChild(b"events", Events(admit))
    pages.putChild(STATIC, folder)
    for name in FILES:
        folder.putChild(name.rpartition("/")[2].encode(), File(name))
    return Guard(access, pages, Entrance(access, wrong_token))
