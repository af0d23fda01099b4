"""``/live`` and ``/ready``, for orchestrators such as Kubernetes."""

from __future__ import annotations

from collections.abc import Callable

from twisted.web.server import Request

from rpc.serving.pages import Page
from rpc.worker.readiness import Readiness


class _Line(Page):
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


def health_pages(readiness: Callable[[], Readiness]) -> dict[str, Page]:
    """Return the pages. ``/live`` is always 200: a reactor that is blocked, or a process that is gone, gives no answer.

    ``/ready`` is 200 while requests are taken, else 503, with the reason as text.
    """
    return {
        "live": _Line(lambda: (True, "live")),
        "ready": _Line(lambda: (readiness() is Readiness.READY, readiness().value)),
    }
