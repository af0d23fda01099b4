"""The log of a program that serves: lines of text, or one JSON object a line.

It has the events of Twisted's log and of :mod:`logging`, and the text that handlers print. Text of peers is shown
without characters that a terminal obeys.
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
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    formatEvent,
    globalLogBeginner,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

from rpc.printable import printable, printable_lines

LEVELS: Final = ("debug", "info", "warn", "error", "critical")
FORMATS: Final = ("text", "json")

LONGEST_NUMBER: Final = 64
"""Bits of a number that is a field of a line."""

_LEGACY: Final = "log_legacy"
"""The namespace of events that ``twisted.python.log`` writes, as this package does."""

_NO_FIELDS: Final = frozenset({"failure", "format", "isError", "message", "system", "time", "why"})
"""Keys of those events that are no fields of their authors."""

_OURS: Final = "rpc_fields"
"""The key of events of this package that has their fields, in a dictionary."""


def text_line(event: Any) -> str:
    """Return an event as ``TIME LEVEL PROCESS: TEXT``, with a traceback if it has one.

    Further lines of the text begin with a tab. So no text of a peer looks like another event.
    """
    text = printable_lines(eventAsText(event, includeTimestamp=False, includeSystem=False).rstrip("\n"))
    text = text.replace("\n", "\n\t")
    source = "" if _namespace(event) == _LEGACY else f" {printable(_namespace(event))}"
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
    fields = {key: value for key, value in given.items() if isinstance(key, str) and _is_plain(value)}
    failure = event.get("log_failure") or event.get("failure")  # of the new log, and of the old one
    shown = {
        **fields,
        "time": _time(event),
        "level": _level(event),
        "process": os.getpid(),
        "logger": "rpc" if _namespace(event) == _LEGACY else _namespace(event),
        "message": safe_str(event.get("why") or formatEvent(event)),
    }
    if failure is not None:
        shown["traceback"] = failure.getTraceback()
    return printable(json.dumps(shown)) + "\n"


def _is_plain(value: object) -> bool:
    """Return whether a value is one of JSON: not NaN, no infinity (RFC 8259), and no number of thousands of digits,
    which Python does not write.
    """
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | None) or (isinstance(value, int) and value.bit_length() <= LONGEST_NUMBER)


def _namespace(event: Any) -> str:
    return safe_str(event.get("log_namespace", _LEGACY))


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
        try:
            text = record.getMessage()
        except Exception:  # the arguments do not fit the format, or one of them has no text
            self.handleError(record)
            return
        if record.exc_info and record.exc_info[1] is not None:
            fields["log_failure"] = Failure(record.exc_info[1], record.exc_info[0], record.exc_info[2])
        globalLogPublisher(  # not by a Logger: its own arguments are no fields
            {
                **fields,
                "log_level": _twisted_level(record.levelno),
                "log_namespace": record.name,
                "log_format": "{log_line}",
                "log_line": text,
                "log_time": record.created,
            }
        )


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
