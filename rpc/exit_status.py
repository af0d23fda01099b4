"""Ends the program with an exit status.

twistd stops services in order when the reactor stops, and removes its pid file, but it takes no exit status from them:
it ends with 0, or with the signal that it got. A signal of our own would not do: systemd counts an end by SIGTERM as a
success, and does not restart the worker (systemd.service, "Restart="). After twistd's work, only functions of
``atexit`` run; one of them ends the process with the status.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning


def end_program(reactor: Any, status: int) -> None:
    """Stop `reactor`, and with it all services. The program ends with `status` when it has done the rest of its work.

    Before the reactor runs, it is stopped as soon as it does. A second call replaces the status.
    """
    reactor.callWhenRunning(_stop, reactor, status)


def _stop(reactor: Any, status: int) -> None:
    # Registered late, because functions that are registered after it would run twice: before it, and by it.
    reactor.addSystemEventTrigger("after", "shutdown", atexit.register, _leave, status)
    with suppress(ReactorNotRunning):  # it is stopping already
        reactor.stop()


def _leave(status: int) -> None:
    """End the process. ``os._exit`` would skip the functions that were registered earlier, such as
    ``logging.shutdown``, so they run first.
    """
    atexit.unregister(_leave)
    atexit._run_exitfuncs()  # noqa: SLF001  # also in PyPy; there is no public function
    for stream in (sys.__stdout__, sys.__stderr__):  # twistd has replaced the others by its log
        if stream is not None:
            with suppress(OSError, ValueError):  # a broken pipe, or closed
                stream.flush()
    os._exit(status)
