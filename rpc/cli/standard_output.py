"""All that the command writes, without characters that a terminal obeys; and standard output that fails:
a closed descriptor, a full disk (``/dev/full``), or a reader that has gone (``| head``).

The work of a command may be done by then, so the error says so, on standard error. The exit status is 1; after a broken
pipe it is 128 + SIGPIPE, as a shell reports a program that the signal ended (POSIX, "Exit Status for Commands").
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, Final

import click

from rpc.printable import printable_lines

_ERRORS: Final = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of ``write`` (POSIX) that concern the file."""


class OutputFailed(click.ClickException):
    """Standard output cannot be written to."""


class ReaderGone(OutputFailed):
    """Standard output is a pipe, and its reader has closed it. Without work to report, the command ends silently."""

    exit_code = 128 + signal.SIGPIPE

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message, if there is one, to standard error."""
        if self.message:
            super().show(file)


def say(text: str, done: str = "", *, newline: bool = True) -> None:
    """Write one or several lines to standard output, without characters that a terminal obeys. JSON stays JSON.

    :param done: the work that was done, for the error.
    :raises OutputFailed: the line cannot be written.
    """
    if sys.stdout is None:  # it was closed when the process started
        raise OutputFailed(_message(done, os.strerror(errno.EBADF)))
    with output_errors(done):
        click.echo(printable_lines(text), nl=newline)


def warn(text: str) -> None:
    """Write one or several lines to standard error, in the same way."""
    click.echo(printable_lines(text), err=True)


@contextmanager
def printable_errors() -> Iterator[None]:
    """Make the message of an error printable that click is about to write to standard error."""
    try:
        yield
    except click.ClickException as error:
        shown = printable_lines(error.format_message())
        vars(error)["format_message"] = lambda: shown  # click's errors keep their words in various attributes
        raise


@contextmanager
def output_errors(done: str = "") -> Iterator[None]:
    """Turn errors of standard output into :class:`OutputFailed`.

    :param done: the work that was done, for the error.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _ERRORS or error.filename is not None:
            raise
        _discard_output()
        message = _message(done, error.strerror)
        if error.errno != errno.EPIPE:
            raise OutputFailed(message) from error
        raise ReaderGone(message if done else "") from error


def _message(done: str, reason: str | None) -> str:
    failed = f"standard output cannot be written: {reason}"
    return f"{done}; {failed}" if done else failed


def _discard_output() -> None:
    """Python writes its buffer once more at the end, and would exit with 120 when that fails."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
