"""The log of a program that serves: lines of text, or one JSON object a line.

It has the events of Twisted's log and of :mod:`logging`, and what handlers print. Text of peers is shown without
characters that a terminal obeys.
"""

from __future__ import annotations

import json
import logging
import math
import os
from datetime import datetime, timezone
from typing import IO, Any, Final

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    formatEvent,
    globalLogBeginner,
)
from twisted.python.failure import Failure

from rpc.printable import printable, printable_lines

LEVELS: Final = ("debug", "info", "warn", "error", "critical")
FORMATS: Final = ("text", "json")

_LEGACY: Final = "log_legacy"
"""The namespace of events that ``twisted.python.log`` writes, as this package does."""

_NO_FIELDS: Final = frozenset({"failure", "format", "isError", "message", "system", "time", "why"})
"""Keys of those events that are no fields of their authors."""

_OURS: Final = "rpc_fields"
"""The key of events of this package that has their fields, in a dictionary."""


def text_line(event: Any) -> str:
    """Return an event as ``TIME LEVEL PROCESS: TEXT``, with a traceback if it has one."""
    text = printable_lines(eventAsText(event, includeTimestamp=False, includeSystem=False).rstrip("\n"))
    namespace = event.get("log_namespace", _LEGACY)
    source = "" if namespace == _LEGACY else f" {printable_lines(namespace)}"
    return f"{_time(event)} {_level(event)} {os.getpid()}{source}: {text}\n"


def json_line(event: Any) -> str:
    """Return an event as a JSON object in one line.

    Its keys are ``time``, ``level``, ``process``, ``logger``, ``message``, ``traceback`` if there is one, and the
    fields with which the event was logged, if they are text, numbers, booleans or ``None``. Lines of this package have
    theirs in one dictionary (:func:`rpc.log.msg`), which is taken apart.
    """
    given = {key: value for key, value in event.items() if not key.startswith("log_") and key not in _NO_FIELDS}
    ours = given.get(_OURS)
    if isinstance(ours, dict):
        given.update(ours)
    fields = {key: value for key, value in given.items() if _is_plain(value)}
    failure = event.get("log_failure") or event.get("failure")  # of the new log, and of the old one
    shown = {
        **fields,
        "time": _time(event),
        "level": _level(event),
        "process": os.getpid(),
        "logger": "rpc" if event.get("log_namespace", _LEGACY) == _LEGACY else event["log_namespace"],
        "message": event.get("why") or formatEvent(event),
    }
    if failure is not None:
        shown["traceback"] = failure.getTraceback()
    return printable(json.dumps(shown)) + "\n"


def _is_plain(value: object) -> bool:
    """Return whether a value is one of JSON: not NaN, and no infinity (RFC 8259)."""
    return isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value))


def _time(event: Any) -> str:
    return datetime.fromtimestamp(event.get("log_time", 0.0), timezone.utc).isoformat(timespec="milliseconds")


def _level(event: Any) -> str:
    level = event.get("log_level")
    return "info" if level is None else str(level.name)


class _Forward(logging.Handler):
    """Writes the records of :mod:`logging` to Twisted's log, with the fields of their ``extra``."""

    _STANDARD = frozenset(vars(logging.makeLogRecord({})))

    def emit(self, record: logging.LogRecord) -> None:
        fields = {
            key: value
            for key, value in vars(record).items()
            if key not in self._STANDARD and key not in _NO_FIELDS and not key.startswith(("log_", "_"))
        }
        if record.exc_info and record.exc_info[1] is not None:
            fields["log_failure"] = Failure(record.exc_info[1], record.exc_info[0], record.exc_info[2])
        Logger(record.name).emit(_twisted_level(record.levelno), "{log_line}", log_line=record.getMessage(), **fields)


def _twisted_level(number: int) -> Any:
    """Return Twisted's level for a number of :mod:`logging`, which may be between its names."""
    for least, level in (
        (logging.CRITICAL, LogLevel.critical),
        (logging.ERROR, LogLevel.error),
        (logging.WARNING, LogLevel.warn),
        (logging.INFO, LogLevel.info),
    ):
        if number >= least:
            return level
    return LogLevel.debug


def begin_logging(stream: IO[str], level: str, form: str) -> None:
    """Write the log of the program to `stream` from now on, once in its life.

    Standard output and error of this process become part of the log.

    :param level: one of :data:`LEVELS`: less important events are left out.
    :param form: one of :data:`FORMATS`.
    """
    threshold = LogLevel.levelWithName(level)
    output = FileLogObserver(stream, json_line if form == "json" else text_line)
    observer = FilteringLogObserver(output, [LogLevelFilterPredicate(defaultLogLevel=threshold)])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=True)
    root = logging.getLogger()
    root.addHandler(_Forward())
    root.setLevel(getattr(logging, {"warn": "WARNING"}.get(level, level.upper())))
