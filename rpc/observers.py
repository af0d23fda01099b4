"""Events that are no calls: connections, a blocked broker, a late reactor. Interceptors may observe them as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from zope.interface import Interface, implementer

from rpc import log


class IObserver(Interface):
    """An interceptor that provides this, too, sees events of the connections and workers that it is given to.

    An interceptor of :meth:`rpc.Connection.client` sees none: the connection exists already. An error of a method is
    logged, and changes nothing. :class:`Observer` does nothing in each method.
    """

    def observe(source: Any) -> None:
        """A :class:`rpc.Connection` or :class:`rpc.Worker` was made with this interceptor, and tells it its events."""

    def connected() -> None:
        """There is a connection to the broker."""

    def disconnected() -> None:
        """The connection is lost, or was closed."""

    def blocked(reason: str | None) -> None:
        """The broker takes no messages, for this reason; or takes them again, or the connection is gone (``None``)."""

    def reactor_late(seconds: float) -> None:
        """A timer of a worker fired so many seconds late. Measured every few seconds, by the watch on the reactor."""


@implementer(IObserver)
class Observer:
    """An observer that does nothing. An interceptor that is to observe subclasses it as well."""

    def observe(self, source: Any) -> None:
        """See :class:`IObserver`."""

    def connected(self) -> None:
        """See :class:`IObserver`."""

    def disconnected(self) -> None:
        """See :class:`IObserver`."""

    def blocked(self, reason: str | None) -> None:
        """See :class:`IObserver`."""

    def reactor_late(self, seconds: float) -> None:
        """See :class:`IObserver`."""


def observers_among(interceptors: Iterable[Any], source: Any) -> list[Any]:
    """Return the observers among `interceptors`, each once. They are told of `source`."""
    found: list[Any] = []
    for each in interceptors:
        if IObserver.providedBy(each) and not any(each is other for other in found):
            found.append(each)
    tell_all(found, "observe", source)
    return found


def tell_all(observers: Iterable[Any], event: str, *arguments: Any) -> None:
    """Call the method `event` of each observer. An error is logged."""
    for each in observers:
        method: Callable[..., object] = getattr(each, event)
        try:
            method(*arguments)
        except BaseException:  # also SystemExit: the connection would not go on
            log.err(None, f"in {type(each).__name__}.{event}")
