"""Interceptors: objects that see each call, on the client's side or on the worker's, and may refuse it.

Metrics, traces, access logs and access control are built on these interfaces, and on nothing else. Several interceptors
are called in the order in which they were given; at a call's end they are called in the opposite order. So the first
one is the outermost. Exactly one of ``after`` and ``failed`` is called for each call of ``before`` that has admitted.
An error of ``after``, ``failed``, ``retrying`` or ``rejected`` is logged, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from zope.interface import Interface, implementer
from zope.interface.exceptions import Invalid
from zope.interface.interface import InterfaceClass
from zope.interface.verify import verifyObject

from rpc import log
from rpc.errors import ConfigurationError


class IClientInterceptor(Interface):
    """Sees each call of a client: also nested and oneway calls, those to ``rpc.broadcast``, and ``call_raw``.

    :class:`rpc.ClientInterceptor` does nothing in each method; subclass it to write one or two of them.
    """

    def before(call: Any) -> None:
        """A call begins. Nothing is encoded yet.

        Headers for the request are added to ``call.headers``. An exception refuses the call, which is then not sent.
        The call's Deferred fails with it, if it is an :class:`rpc.RPCError` or another exception of Thrift; with
        ``RPCError`` for any other exception, which is logged.

        :param call: the :class:`rpc.ClientCall`. It is the same object until the call ends.
        """

    def retrying(call: Any) -> None:
        """An attempt has failed with ``call.error``, and another one follows after a pause.

        It has the number ``call.attempt`` + 1. Changes of ``call.headers`` apply to it.
        """

    def after(call: Any) -> None:
        """The call has succeeded: a result came; for a oneway call, the broker has confirmed the request.

        Called right before the call's Deferred fires, as is ``failed``.
        """

    def failed(call: Any) -> None:
        """The call has failed with ``call.error``: the IDL's exception, a ``TApplicationException``, an
        :class:`rpc.RPCError`, ``CancelledError`` when its caller has cancelled it, or ``TypeError`` when the arguments
        are not the method's.
        """


class IWorkerInterceptor(Interface):
    """Sees each call that a worker gets for a service.

    :class:`rpc.WorkerInterceptor` does nothing in each method; subclass it to write one or two of them.
    """

    def before(call: Any) -> Any:
        """A request has a slot, and its method is known. Its arguments are not decoded yet.

        The handler, and its nested calls, see changes of ``call.metadata`` in ``rpc.current_call().metadata``; values
        of context variables (:mod:`contextvars`) that are set here; and what :func:`rpc.current_call` returns is set
        here already. So calls that are made here are nested calls.

        An exception refuses the call. The handler does not run. The caller gets ``AccessDenied``, ``Overloaded`` or
        ``ServiceUnavailable``, if it is one of these, with the outcome ``REJECTED``; an exception that the method
        declares in the IDL, or a ``TApplicationException``, unchanged; an INTERNAL_ERROR for any other exception, which
        is logged. A oneway request that is refused becomes a dead letter.

        :param call: the :class:`rpc.WorkerCall`. It is the same object until the call ends.
        :return: ``None``, or a Deferred or coroutine that gives ``None``: the request keeps its slot meanwhile, and
            ends at its deadline or cancellation. Any other value is an error, so that ``False`` does not admit.
        """

    def after(call: Any) -> None:
        """The handler has returned a result. The reply is encoded, and is sent next."""

    def failed(call: Any) -> None:
        """The call has ended without a result. ``call.ending`` says how, and ``call.error`` is the exception."""

    def rejected(call: Any) -> None:
        """A request was rejected before ``before`` was called, for ``call.error``, or dropped.

        It was malformed, too large, for an unknown method, delivered too often, or for this worker alone, which is
        stopping or has too many. One that has expired, or was cancelled, before it began is dropped: ``call.ending`` is
        ``rpc.Ending.DROPPED``. (A request that another worker runs is neither.)
        """


@implementer(IClientInterceptor)
class ClientInterceptor:
    """A client's interceptor that does nothing."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def before(self, call: Any) -> None:
        """See :class:`IClientInterceptor`."""

    def retrying(self, call: Any) -> None:
        """See :class:`IClientInterceptor`."""

    def after(self, call: Any) -> None:
        """See :class:`IClientInterceptor`."""

    def failed(self, call: Any) -> None:
        """See :class:`IClientInterceptor`."""


@implementer(IWorkerInterceptor)
class WorkerInterceptor:
    """A worker's interceptor that does nothing."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def before(self, call: Any) -> Any:
        """See :class:`IWorkerInterceptor`."""

    def after(self, call: Any) -> None:
        """See :class:`IWorkerInterceptor`."""

    def failed(self, call: Any) -> None:
        """See :class:`IWorkerInterceptor`."""

    def rejected(self, call: Any) -> None:
        """See :class:`IWorkerInterceptor`."""


def client_interceptors(value: Any) -> tuple[Any, ...]:
    """Return a client's option ``interceptors`` as a tuple.

    :raises ConfigurationError: an object provides no :class:`IClientInterceptor`.
    """
    return _providers(value, IClientInterceptor)


def worker_interceptors(value: Any) -> tuple[Any, ...]:
    """Return the option ``interceptors`` of a service or worker as a tuple.

    :raises ConfigurationError: an object provides no :class:`IWorkerInterceptor`.
    """
    return _providers(value, IWorkerInterceptor)


def _providers(value: Any, interface: InterfaceClass) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigurationError(f"interceptors={value!r}: must be a list of objects that provide {interface.__name__}")
    given = tuple(value)
    for each in given:
        if isinstance(each, type):
            raise ConfigurationError(f"interceptors: {each.__name__} is a class; pass an instance of it")
        try:
            verifyObject(interface, each)
        except Invalid as error:
            name = type(each).__name__
            why = str(error).replace(repr(each), name)
            raise ConfigurationError(f"interceptors: a {name} is no {interface.__name__}: {why}") from error
    return given


def tell(method: Callable[[Any], object], call: Any) -> None:
    """Call a method of an interceptor that must not change anything. Its error is logged."""
    try:
        method(call)
    except BaseException:  # also SystemExit, as a Deferred does: the call would never end
        log_error(method, call)


def log_error(method: Callable[[Any], object], call: Any) -> None:
    """Log the exception that a method of an interceptor has raised."""
    log.err(None, f"{call.label}: in {type(getattr(method, '__self__', method)).__name__}.{method.__name__}")


def does(method: Callable[[Any], object]) -> bool:
    """Whether a method of an interceptor does anything: it is not that of the base class."""
    function = getattr(method, "__func__", None)
    return function is None or function not in _NOTHING


_NOTHING = frozenset(
    function
    for base in (ClientInterceptor, WorkerInterceptor)
    for name, function in vars(base).items()
    if isinstance(function, FunctionType) and not name.startswith("_")
)
