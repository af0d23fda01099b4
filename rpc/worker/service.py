"""A service: a stub, a handler, and how it is served."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from types import ModuleType
from typing import Any

import attrs
from attrs.validators import optional
from twisted.internet.defer import Deferred

from rpc.envelope import MAX_ELEMENTS, MAX_MESSAGE_SIZE, REFUSE, REPLACE
from rpc.errors import ConfigurationError
from rpc.interceptors import worker_interceptors
from rpc.keys import Keys, as_keys
from rpc.log_limit import LogLimit
from rpc.stub import Stub, implements_all
from rpc.topology import REQUESTS, ServiceTopology
from rpc.validators import check_truth, one_of, text, whole_number
from rpc.worker.access import AccessControl, Rule, read_rules
from rpc.worker.caller_limits import CallerLimiter, CallerLimits, check_limits
from rpc.worker.queue_options import QUORUM, QueueOptions
from rpc.worker.reply_address import REPLY_QUEUES

ACKNOWLEDGE = ("after", "before")

REDELIVERY_LIMIT: int | None = 5

MOST_PREFETCHED = 65535
"""AMQP's prefetch count is a short (AMQP 0-9-1, basic.qos)."""

QUARANTINED_AT_ONCE = 1
"""Prefetch of the quarantine: a crash then identifies the request that caused it."""

LONGEST_QUEUE = 255 - 40
"""Bytes of a request queue's name. The service's other queues, and what ``thrift-rpc queue migrate`` declares beside
them, have longer names, such as ``<queue>.quarantine.migrating.store``.
"""


def _check_bound(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
        raise ConfigurationError(f"deduplicate: {attribute.name}={value!r}: must be a number above 0")


def _beginnings(value: Any) -> Any:
    """Return beginnings of names as a tuple."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigurationError(f"reply_queues={value!r}: must be the beginnings of names, such as {REPLY_QUEUES!r}")
    beginnings = tuple(value)
    if not all(isinstance(each, str) and each.isprintable() for each in beginnings):
        raise ConfigurationError(f"reply_queues={value!r}: must be printable texts")
    return beginnings


@attrs.frozen
class Deduplicate:
    """How much a worker remembers of recent calls. Over a bound, the oldest calls are forgotten first.

    :ivar count: replies.
    :ivar size: bytes of their bodies, with the overhead of each.
    :ivar seconds: how long.
    :raises ConfigurationError: a bound is no number above 0.
    """

    count: int = attrs.field(default=10_000, validator=_check_bound)
    size: int = attrs.field(default=64 * 1024 * 1024, validator=_check_bound)
    seconds: float = attrs.field(default=300.0, validator=_check_bound)


def _bounds(value: Any) -> Any:
    """Return the default bounds for ``True``, ``None`` for ``False``."""
    return (Deduplicate() if value else None) if isinstance(value, bool) else value


def _check_bounds(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not isinstance(value, Deduplicate):
        raise ConfigurationError(f"{attribute.name}={value!r}: must be True, False or a rpc.Deduplicate")


@attrs.frozen(eq=False, repr=False)
class ThriftService(QueueOptions):
    """A service as a worker serves it.

    :ivar stub: the stub module, such as ``generated.calculator.Calculator``.
    :ivar handler: provides the stub's ``Iface``; its methods return a value, a Deferred or a coroutine.
    :ivar factory: instead of a handler; makes the handler, called with the worker's
        :class:`~rpc.client.connection.Connection`, for handlers that are clients of other services.
    :ivar name: the service's name on the wire; default: its name in the IDL.
    :ivar concurrency: prefetch, and the most calls in progress at once. (A oneway method counts until it is done.)
    :ivar acknowledge: ``"after"`` the reply is written: at least once; ``"before"`` the handler runs: at most once.
    :ivar queue_type: ``"classic"`` or ``"quorum"``, of the request queue.
    :ivar backlog: most ready requests; the broker rejects more, and their callers get ``Overloaded``.
    :ivar redelivery_limit: how often a request may be repeated after a worker began it and did not finish: it begins at
        most this number of times plus one, and then becomes a dead letter. ``None``: no limit.
    :ivar cancel: whether a handler's Deferred or coroutine is cancelled at its caller's deadline or cancellation.
        ``False`` for handlers that work in threads: a thread goes on, and its slot would be free too early.
    :ivar deduplicate: whether to remember recent replies, so that a repeated request gets the same reply and is not run
        again; ``True``, or a :class:`Deduplicate` with other bounds.
    :ivar max_message_size: bytes of a request's body; a larger one is rejected.
    :ivar max_elements: the cost of decoding a request, at most: a request with more is rejected. A number counts as one
        element; ``docs/security.md`` has the others.
    :ivar invalid_utf8: how bytes of a ``string`` in a request that are not UTF-8 are treated: ``"refuse"`` the request
        (PROTOCOL_ERROR and a dead letter), or ``"replace"`` them by U+FFFD.
    :ivar allow: the users that may call. ``True``: all. A user's name, or a pattern of names such as
        ``"billing-*"`` (:mod:`fnmatch`), or a list of them. Or a function that is called with the
        :class:`rpc.WorkerCall` of a request with a ``user_id``, and returns ``True``, also by a Deferred or coroutine.
        Or a mapping of methods to such rules, with ``"*"`` for the methods that it does not name; without it, these
        may not be called. All others get ``AccessDenied``, as does a request without a ``user_id``. Default: all.
    :ivar limits: of each caller, a :class:`rpc.CallerLimits`. A call that is over it gets ``Overloaded``.
    :ivar interceptors: objects that provide :class:`rpc.IWorkerInterceptor`; those of the worker come before them, and
        ``limits`` and ``allow`` after them.
    :ivar exchange: where requests are published, for peers that use another exchange.
    :ivar queue: the request queue, for peers that use another name; default ``rpc.<name>``.
    :ivar consumer_timeout: seconds that RabbitMQ lets a worker keep a request unacked, which is as long as a call may
        run (``x-consumer-timeout`` of the request queue; RabbitMQ 3.12 and later, older ones ignore it). Default: the
        broker's, 30 minutes. Beyond it the broker closes the channel and delivers the requests again.
    :ivar reply_queues: the beginnings of the names of queues that replies may go to. Default: ``amq.gen-``, which the
        broker gives to queues without a name. The caller chooses the queue, and a worker may write to all of them: a
        request with another ``reply_to`` becomes a dead letter.
    :ivar keys: the path of a file of keys, or a :class:`rpc.Keys`: signed requests are verified, and their replies are
        signed.
    :ivar require_signature: whether a request or cancellation without a signature is refused (``AccessDenied``).
    :ivar max_priority: the highest ``priority`` of a call that comes before others, 1 to 255 (``x-max-priority`` of the
        request queue). Up to 5 are recommended (RabbitMQ documentation, "Classic Queues Support Priorities"). For
        classic queues only.
    :ivar queue_arguments: further arguments of the request queue by name, such as ``x-max-length-bytes``. Those by
        which the broker would lose requests are refused.
    :ivar declare_queue: ``False``: the request queue is used as it is, with the arguments that an operator gave it. The
        worker only binds it, and is refused when it does not exist (404).
    :ivar durable: ``False``: an exchange of the service's own and the request queue are declared as
        ``txamqp.contrib.thrift`` declares them, to share them with its servers: not durable, and the queue is deleted
        with its last consumer. For classic queues only.
    :raises ConfigurationError: an option has a wrong value, the module is no stub, the handler is a class or lacks
        a method.
    """

    stub: ModuleType
    handler: Any = None
    factory: Callable[[Any], Any] | None = attrs.field(default=None, kw_only=True)
    name: str = attrs.field(default="", kw_only=True, validator=text(120, but_not="@"))
    concurrency: int = attrs.field(default=64, kw_only=True, validator=whole_number(1, MOST_PREFETCHED))
    acknowledge: str = attrs.field(default="after", kw_only=True, validator=one_of(*ACKNOWLEDGE))
    redelivery_limit: int | None = attrs.field(
        default=REDELIVERY_LIMIT, kw_only=True, validator=optional(whole_number(1))
    )
    cancel: bool = attrs.field(default=True, kw_only=True, validator=check_truth)
    deduplicate: Deduplicate | None = attrs.field(
        default=None, kw_only=True, converter=_bounds, validator=_check_bounds
    )
    max_message_size: int = attrs.field(default=MAX_MESSAGE_SIZE, kw_only=True, validator=whole_number(1))
    max_elements: int = attrs.field(default=MAX_ELEMENTS, kw_only=True, validator=whole_number(1))
    invalid_utf8: str = attrs.field(default=REFUSE, kw_only=True, validator=one_of(REFUSE, REPLACE))
    exchange: str = attrs.field(default=REQUESTS, kw_only=True, validator=text(255))
    queue: str = attrs.field(default="", kw_only=True, validator=text(LONGEST_QUEUE))
    declare_queue: bool = attrs.field(default=True, kw_only=True, validator=check_truth)
    durable: bool = attrs.field(default=True, kw_only=True, validator=check_truth)
    reply_queues: tuple[str, ...] = attrs.field(default=REPLY_QUEUES, kw_only=True, converter=_beginnings)
    allow: Any = attrs.field(default=None, kw_only=True)
    limits: CallerLimits | None = attrs.field(default=None, kw_only=True, validator=optional(check_limits))
    interceptors: tuple[Any, ...] = attrs.field(default=(), kw_only=True, converter=worker_interceptors)
    keys: Keys | None = attrs.field(default=None, kw_only=True, converter=as_keys)
    require_signature: bool = attrs.field(default=False, kw_only=True, validator=check_truth)
    description: Stub = attrs.field(init=False)

    @description.default
    def _read_stub(self) -> Stub:
        return Stub.of(self.stub)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if not self.declare_queue and (self.max_priority is not None or self.queue_arguments):
            raise ConfigurationError(
                "declare_queue=False: must be left out with max_priority= and queue_arguments=, which declare the queue"
            )
        if not self.durable and self.queue_type == QUORUM:
            raise ConfigurationError(
                "durable=False: must be left out with queue_type='quorum', which is always durable"
            )
        if self.require_signature and self.keys is None:
            raise ConfigurationError("require_signature=True: needs keys=, the file of the keys of those who may call")
        object.__setattr__(self, "name", self.name or self.description.service)
        self._rules()
        if (self.handler is None) == (self.factory is None):
            raise ConfigurationError(f"service {self.name}: give either a handler or a factory=")
        if self.handler is not None:
            self._check(self.handler)

    def __repr__(self) -> str:
        return f"<service {self.name}>"

    def make_handler(self, connection: Any) -> Any:
        """Return the handler, which the factory makes of `connection` if there is one.

        :raises ConfigurationError: the factory failed, returned a coroutine or a Deferred, or its handler lacks a
            method of the stub's ``Iface``.
        """
        if self.factory is None:
            return self.handler
        try:
            handler = self.factory(connection)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise ConfigurationError(f"service {self.name}: its factory failed: {why}") from error
        if isinstance(handler, Coroutine | Deferred):
            if isinstance(handler, Coroutine):
                handler.close()  # else Python warns that it was never awaited
            raise ConfigurationError(
                f"service {self.name}: its factory returned a {type(handler).__name__}: it must return the handler at "
                "once"
            )
        self._check(handler)
        return handler

    @property
    def knows_callers(self) -> bool:
        """Whether the service treats users differently, so that copies of requests must keep their users."""
        return self.allow is not None or self.limits is not None

    def _rules(self) -> dict[str, Rule] | None:
        """Return the rules of ``allow``.

        :raises ConfigurationError: one is wrong.
        """
        return None if self.allow is None else read_rules(self.allow, self.name, self.description.methods)

    def all_interceptors(self, denials: LogLimit) -> tuple[Any, ...]:
        """Return the interceptors, with those that the options ask for. Their state is of one worker.

        :param denials: writes the calls that ``allow`` refuses to the log.
        """
        made: list[Any] = []
        if self.limits is not None:
            made.append(CallerLimiter(self.limits))
        rules = self._rules()
        if rules is not None:
            made.append(AccessControl(rules, self.name, denials))
        return *self.interceptors, *made

    def topology(self) -> ServiceTopology:
        """Return the exchanges, queues and bindings of the service."""
        names = (*(each.name for each in attrs.fields(QueueOptions)), "declare_queue", "durable")
        options: dict[str, Any] = {name: getattr(self, name) for name in names}
        if self.queue:
            options["queue"] = self.queue
        return ServiceTopology(self.name, self.exchange, **options)

    def _check(self, handler: object) -> None:
        if isinstance(handler, type):
            name = handler.__name__
            raise ConfigurationError(f"service {self.name}: the handler {name} is a class; pass an instance: {name}()")
        lacking = implements_all(handler, self.description)
        if lacking:
            described = [f"{name}({', '.join(self.description.attributes[name].argument_names)})" for name in lacking]
            raise ConfigurationError(
                f"service {self.name}: the handler {type(handler).__name__} lacks {', '.join(described)} "
                f"of {self.stub.__name__}.Iface, or takes other arguments"
            )
