"""Ends the program with an exit status.

twistd stops services in order when the reactor stops, and removes its pid file, but it takes no exit status from them:
it ends with 0, or with the signal that it got. A signal of our own would not do: systemd counts an end by SIGTERM as a
success, and does not restart the worker (systemd.service, "Restart=").
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning

_status = 0


def end_program(reactor: Any, status: int) -> None:
    """Stop `reactor`, and with it all services. The program ends with `status` when it has done the rest of its work.

    Before the reactor runs, it is stopped as soon as it does. A second call replaces the status.
    """
    global _status  # noqa: PLW0603  # a process has one
    _status = status
    reactor.callWhenRunning(_stop, reactor)


def _stop(reactor: Any) -> None:
    with suppress(ReactorNotRunning):  # it is stopping already
        reactor.stop()


# Registered by the import: functions that modules register after it run before it.
@atexit.register
def _leave() -> None:
    if not _status:
        return
    for stream in (sys.__stdout__, sys.__stderr__):  # twistd has replaced the others by its log
        if stream is not None:
            with suppress(OSError, ValueError):  # a broken pipe, or closed
                stream.flush()
    os._exit(_status)
