"""Access control: which users may call which methods of a service (the option ``allow``). A worker interceptor.

A user is known by the property ``user_id`` of its requests. It is worth as much as the broker's verification of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from types import CoroutineType
from typing import Any

from twisted.internet.defer import Deferred

from rpc.errors import AccessDenied, ConfigurationError
from rpc.interceptors import WorkerInterceptor
from rpc.log_limit import LogLimit
from rpc.worker.call import WorkerCall
from rpc.worker.coroutines import run_coroutine

OTHERS = "*"
"""Of a mapping: the methods that it does not name."""

Rule = Callable[[WorkerCall], Any]
"""Whether a call is allowed: ``True``, or a Deferred or coroutine that gives ``True``. Anything else refuses."""


class AccessControl(WorkerInterceptor):
    """Refuses the calls that the option ``allow`` does not allow."""

    def __init__(self, rules: Mapping[str, Rule], service: str, denials: LogLimit) -> None:
        """
        :param rules: of :func:`read_rules`.
        :param denials: writes the refusals to the log.
        """
        self._rules = rules
        self._service = service
        self._denials = denials

    def before(self, call: WorkerCall) -> Deferred[None] | None:
        """Refuse the call, with a line in the log, or admit it.

        :return: fires when the call is admitted, if the rule has to wait.
        :raises AccessDenied: the call is not allowed.
        """
        rule = self._rules.get(call.method, self._rules.get(OTHERS, _nobody))
        if rule is _everybody:
            return None
        if call.user_id is None:
            self._deny(call, "the request names no user (a client's option user_id=True, a command's --user-id)")
        allowed = rule(call)
        if isinstance(allowed, CoroutineType):
            allowed = run_coroutine(allowed)
        if isinstance(allowed, Deferred):
            return allowed.addCallback(self._decide, call)
        self._decide(allowed, call)
        return None

    def _decide(self, allowed: object, call: WorkerCall) -> None:
        if allowed is not True:
            self._deny(call, f"not allowed to the user {call.user_id!r}")

    def _deny(self, call: WorkerCall, reason: str) -> None:
        self._denials.note(partial(self._line, call, reason))
        raise AccessDenied(f"{call.label}: {reason}")

    def _line(self, call: WorkerCall, reason: str) -> str:
        """Return the log line of a refusal. Names are cut: a peer may choose them."""
        return (
            f"{self._service}: access denied: method {call.method}, user {_cut(call.user_id)}, program "
            f"{_cut(call.app_id)}, message id {_cut(call.message_id)}, reply queue {_cut(call.reply_to)}: {reason}"
        )


def read_rules(allow: Any, service: str, methods: Iterable[str]) -> dict[str, Rule]:
    """Return the rules of the option ``allow`` by method.

    :param allow: see :class:`rpc.ThriftService`.
    :raises ConfigurationError: a rule is of a wrong type, or for a method that the service does not have.
    """
    names = list(methods)
    given = allow if isinstance(allow, Mapping) else {OTHERS: allow}
    unknown = sorted(str(name) for name in given if name != OTHERS and name not in names)
    if unknown:
        raise ConfigurationError(
            f"allow: {service} has no method {', '.join(unknown)}; it has {', '.join(names)}, and '*' for others"
        )
    return {name: _rule(rule) for name, rule in given.items()}


def _cut(name: str | None) -> str:
    return "unknown" if name is None else repr(name[:80])


def _everybody(_: WorkerCall) -> bool:
    return True


def _nobody(_: WorkerCall) -> bool:
    return False


def _rule(value: Any) -> Rule:
    if value is True:
        return _everybody
    if callable(value):
        rule: Rule = value
        return rule
    patterns = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (None,)
    if isinstance(value, Mapping) or not all(isinstance(each, str) and each for each in patterns):
        raise ConfigurationError(
            f"allow={value!r}: must be True, a user's name or a pattern such as 'billing-*', a list of them, or a "
            "function of the call"
        )
    return lambda call: any(fnmatchcase(call.user_id or "", pattern) for pattern in patterns)
