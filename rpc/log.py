"""Twisted's log, for all modules of this package: its functions, and no other text than a terminal can show.

Names, reasons and errors in log lines come from peers. So no other module of the package imports Twisted's log; a test
checks this.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel
from twisted.python import log
from twisted.python.failure import Failure

from rpc.printable import printable_lines


class _Shown(Failure):
    """A failure whose traceback ends with the text of its error, which a peer may have written."""

    def getTraceback(self, *args: Any, **kwargs: Any) -> str:
        """Return the traceback without characters that a terminal would obey."""
        return printable_lines(super().getTraceback(*args, **kwargs))


def msg(text: str, **fields: Any) -> None:
    """Write a message to the log.

    :param fields: facts in the text, for programs that read the log: ``rpc_fields`` of the event.
    """
    log.msg(printable_lines(text), rpc_fields=_shown(fields))


def warn(text: str, **fields: Any) -> None:
    """Write a message to the log that an operator may have to act on.

    :param fields: as for :func:`msg`.
    """
    log.msg(printable_lines(text), log_level=LogLevel.warn, rpc_fields=_shown(fields))


def critical(text: str, **fields: Any) -> None:
    """Write to the log why the program ends. No log level leaves this line out.

    :param fields: as for :func:`msg`.
    """
    log.msg(printable_lines(text), log_level=LogLevel.critical, rpc_fields=_shown(fields))


def err(failure: Failure | BaseException | None, why: str, **fields: Any) -> None:
    """Write an error to the log, with its traceback.

    :param failure: the error; ``None`` for the one that is being handled.
    :param why: the work during which it happened.
    :param fields: as for :func:`msg`.
    """
    if not isinstance(failure, Failure):
        failure = Failure(failure)
    shown = _Shown.__new__(_Shown)
    shown.__dict__.update(failure.__dict__)
    log.err(shown, printable_lines(why), rpc_fields=_shown(fields))


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields without characters that a terminal would obey: peers choose the ids of messages."""
    return {name: printable_lines(value) if isinstance(value, str) else value for name, value in fields.items()}
