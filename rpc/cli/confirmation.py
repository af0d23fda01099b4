"""A yes-or-no question at the terminal, asked while the reactor runs.

A blocking prompt would stop the heartbeats, and the broker would close the connection that holds the letters.
"""

from __future__ import annotations

import sys
from io import FileIO
from typing import Any

import click
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from rpc.cli.standard_output import say

ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


async def confirmed(reactor: Any, question: str) -> bool:
    """Return whether the answer is yes. A question that gets another answer than yes or no is asked again.

    :raises click.Abort: standard input is closed or at its end.
    :raises OutputFailed: the question cannot be written.
    """
    while True:
        say(f"{question} [y/N]: ", newline=False)
        line = await _line(reactor)
        if not line:
            say("")
            raise click.Abort
        answer = ANSWERS.get(line.strip().lower())
        if answer is not None:
            return answer


def _line(reactor: Any) -> Deferred[str]:
    """Return a Deferred that fires with the next line of standard input, or with an empty text at its end."""
    if sys.stdin is None:  # it was closed when the process started
        return succeed("")
    line: Deferred[str] = Deferred(lambda _: reactor.removeReader(reader))
    reader = _Reader(reactor, sys.stdin.fileno(), line)
    reactor.addReader(reader)
    return line


@implementer(IReadDescriptor)
class _Reader:
    """Reads one line when standard input is readable: a terminal delivers whole lines. Later input is not consumed."""

    def __init__(self, reactor: Any, descriptor: int, line: Deferred[str]) -> None:
        self._reactor = reactor
        self._input = FileIO(descriptor, closefd=False)
        self._line = line

    def fileno(self) -> int:
        return self._input.fileno()

    def doRead(self) -> None:
        self._reactor.removeReader(self)
        self._line.callback(self._input.readline().decode(errors="replace"))

    def connectionLost(self, reason: Failure) -> None:
        self._reactor.removeReader(self)
        self._line.callback("")

    def logPrefix(self) -> str:
        return "answer"
