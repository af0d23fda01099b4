"""A question to the person at the terminal, asked while the reactor runs: what is held on the broker must not be let go
of meanwhile, and heartbeats must go out.
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

ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


async def agreed(reactor: Any, question: str) -> bool:
    """Return whether the answer is yes.

    :raises click.Abort: there is nobody to answer.
    """
    while True:
        click.echo(f"{question} [y/N]: ", nl=False)
        line = await _line(reactor)
        if not line:
            click.echo()
            raise click.Abort
        answer = ANSWERS.get(line.strip().lower())
        if answer is not None:
            return answer


def _line(reactor: Any) -> Deferred[str]:
    """Fires with the next line of standard input, and with an empty text at its end."""
    if sys.stdin is None:  # it was closed before we began
        return succeed("")
    line: Deferred[str] = Deferred(lambda _: reactor.removeReader(reader))
    reader = _Reader(reactor, sys.stdin.fileno(), line)
    reactor.addReader(reader)
    return line


@implementer(IReadDescriptor)
class _Reader:
    """Waits until there is a line to read: a terminal hands on whole ones. What is behind it is left where it is."""

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
