"""An access log: one line, or one JSON object, for each call that a worker gets."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from twisted.logger import Logger

from rpc.call_labels import error_type
from rpc.errors import ConfigurationError
from rpc.interceptors import WorkerInterceptor
from rpc.printable import printable
from rpc.worker.call import Ending, WorkerCall

TEXT, JSON = "text", "json"

EXPIRED = "expired"
"""The outcome of a call that was cancelled because its deadline had passed."""

LONGEST = 80
"""Characters of a value that a peer has chosen."""

NAMESPACE = "rpc.access"

FIELDS = (
    "service",
    "method",
    "outcome",
    "milliseconds",
    "attempt",
    "request_bytes",
    "reply_bytes",
    "caller",
    "message_id",
    "error",
)
"""The names of the fields, in order. The last one only if there is an error."""


class AccessLog(WorkerInterceptor):
    """Writes a line for each call that has ended. Arguments and results are not in it.

    Its fields are :data:`FIELDS`. ``docs/observability.md`` has their meanings.

    - ``outcome``: a value of :class:`rpc.Ending`, or ``expired`` for a call whose deadline has passed.
    - ``milliseconds``: from the arrival in the worker to the reply.
    - ``caller``: the verified user, else the name that the program gives itself, else the reply queue.
    - ``error``: the type of the error, if there is one.
    """

    def __init__(self, form: str = TEXT, logger: logging.Logger | Logger | None = None) -> None:
        """
        :param form: ``"text"``: ``name=value``, with spaces between; or ``"json"``, with the ``time`` of the end.
        :param logger: where the lines go: Twisted's logger by default, or one of :mod:`logging`. Both get the fields as
            well: as ``rpc_fields`` of the event, or of the record.
        :raises ConfigurationError: `form` is neither of the two.
        """
        if form not in (TEXT, JSON):
            raise ConfigurationError(f"access log: the form {form!r} must be {TEXT} or {JSON}")
        self._form = form
        self._logger = logger or Logger(namespace=NAMESPACE)

    def after(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        self._write(call)

    def failed(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        self._write(call)

    def rejected(self, call: WorkerCall) -> None:
        """See :class:`rpc.IWorkerInterceptor`."""
        self._write(call)

    def _write(self, call: WorkerCall) -> None:
        fields = fields_of(call)
        line = _as_json(fields) if self._form == JSON else _as_text(fields)
        if isinstance(self._logger, logging.Logger):
            self._logger.info("%s", line, extra={"rpc_fields": fields})
        else:
            self._logger.info("{log_line}", log_line=line, rpc_fields=fields)

    def __repr__(self) -> str:
        return f"<AccessLog as {self._form}>"


def fields_of(call: WorkerCall) -> dict[str, Any]:
    """Return the fields of a call that has ended. Texts of peers are cut, and printable."""
    ended = call.began if call.ended is None else call.ended
    values = (
        call.service,
        _cut(call.method),
        _outcome(call, ended),
        round((ended - call.arrived) * 1000, 3),
        call.attempt,
        call.request_size,
        call.reply_size,
        _cut(call.user_id or call.app_id or call.reply_to),
        _cut(call.message_id),
    )
    fields = dict(zip(FIELDS, values, strict=False))
    if call.error is not None:
        fields["error"] = error_type(call.error)
    return fields


def _outcome(call: WorkerCall, ended: float) -> str:
    if call.ending in (Ending.CANCELLED, Ending.DROPPED) and call.deadline is not None and call.deadline <= ended:
        return EXPIRED
    return "unknown" if call.ending is None else call.ending.value


def _cut(text: str | None) -> str | None:
    return None if text is None else printable(text[:LONGEST])


def _as_text(fields: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_shown(value)}" for name, value in fields.items())


def _shown(value: Any) -> str:
    """Return a value as text that ends at the next space. Texts with other characters are quoted as JSON."""
    if value is None:
        return "-"
    text = str(value)
    plain = text and not any(each in text for each in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)


def _as_json(fields: Mapping[str, Any]) -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return json.dumps({"time": now, **fields}, ensure_ascii=False)
