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


def msg(text: str) -> None:
    """Write a message to the log."""
    log.msg(printable_lines(text))


def warn(text: str) -> None:
    """Write a message to the log that an operator may have to act on."""
    log.msg(printable_lines(text), log_level=LogLevel.warn)


def err(failure: Failure | BaseException | None, why: str) -> None:
    """Write an error to the log, with its traceback.

    :param failure: the error; ``None`` for the one that is being handled.
    :param why: what was done when it happened.
    """
    if not isinstance(failure, Failure):
        failure = Failure(failure)
    shown = _Shown.__new__(_Shown)
    shown.__dict__.update(failure.__dict__)
    log.err(shown, printable_lines(why))
