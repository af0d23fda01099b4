"""Tells the program that has started this one about its state, in the words of sd_notify(3).

The protocol is a datagram of lines ``NAME=VALUE`` to the socket that the environment names. The packages that have it
are either not maintained any more, or bindings to a C library; it takes fewer lines than their use.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from collections.abc import Callable, MutableMapping
from typing import Final

from rpc import log

SOCKET_VARIABLE: Final = "NOTIFY_SOCKET"
WATCHDOG_VARIABLE: Final = "WATCHDOG_USEC"
WATCHDOG_PID_VARIABLE: Final = "WATCHDOG_PID"


class Notifier:
    """Sends states. Without a receiver it does nothing. Lines that the receiver does not take are sent again later.

    :ivar watchdog: seconds within which the receiver wants a keepalive; ``None``: it wants none.
    """

    def __init__(
        self,
        send: Callable[[bytes], object] | None = None,
        watchdog: float | None = None,
        on_lost: Callable[[OSError], None] | None = None,
    ) -> None:
        """
        :param send: sends lines to the receiver; may raise :class:`OSError`.
        :param on_lost: called once, with the first error of `send`; nothing is sent from then on. Without it the error
            is logged once: the service manager may be there again.
        """
        self.watchdog = watchdog
        self._send = send
        self._on_lost = on_lost
        self._failed = False
        self._unsent: dict[str, str] = {}  # the last lines of each kind that the receiver has not taken

    def ready(self) -> None:
        """The program serves."""
        self._tell("state", "READY=1\n")

    def reloading(self) -> None:
        """The program begins to reload; :meth:`ready` ends this. The time is for ``Type=notify-reload``."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("state", f"RELOADING=1\nMONOTONIC_USEC={now}\n")

    def stopping(self) -> None:
        """The program begins to stop."""
        self._tell("state", "STOPPING=1\n")

    def status(self, name: str, text: str) -> None:
        """Tell the state for people to read, and its name for programs."""
        self._tell("status", f"STATUS={text}\nX_READINESS={name}\n")

    def metrics_port(self, port: int) -> None:
        """Tell the port of 127.0.0.1 at which the program has its metrics."""
        self._tell("metrics port", f"X_METRICS_PORT={port}\n")

    def alive(self) -> None:
        """Send a keepalive, if one is wanted, and send the unsent lines again."""
        self._transmit("" if self.watchdog is None else "WATCHDOG=1\n")

    def _tell(self, kind: str, lines: str) -> None:
        self._unsent.pop(kind, None)  # the order is that of the last lines
        self._unsent[kind] = lines
        self._transmit()

    def _transmit(self, more: str = "") -> None:
        """Send all that is unsent, as one datagram."""
        data = "".join((*self._unsent.values(), more)).encode()
        if self._send is None or not data:
            return
        try:
            self._send(data)
        except BlockingIOError:
            pass  # the receiver does not read just now
        except OSError as error:
            self._lost(error)
        else:
            self._unsent.clear()

    def _lost(self, error: OSError) -> None:
        if self._on_lost is not None:
            self._send = None
            self._on_lost(error)
        elif not self._failed:
            why = error.strerror or error  # a name that is too long is no error of the system
            log.warn(f"the service manager is not told the state: {why}; {SOCKET_VARIABLE} names its socket")
        self._failed = True


def service_manager(environment: MutableMapping[str, str]) -> Notifier:
    """Return the notifier for the service manager that `environment` names, and take its variables out.

    Programs that this one starts are not to send in its name.
    """
    address = environment.pop(SOCKET_VARIABLE, "")
    microseconds = environment.pop(WATCHDOG_VARIABLE, "")
    pid = environment.pop(WATCHDOG_PID_VARIABLE, str(os.getpid()))
    if not address.startswith(("/", "@")):  # sd_notify(3): other values are not for this protocol
        return Notifier()
    wanted = microseconds.isdecimal() and int(microseconds) > 0 and pid == str(os.getpid())
    return Notifier(lambda data: _send_datagram(address, data), int(microseconds) / 1e6 if wanted else None)


def _send_datagram(address: str, data: bytes) -> None:
    """Send to a socket of the file system, or, with ``@``, to an abstract one (unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as datagrams:
        datagrams.sendto(data, "\0" + address[1:] if address.startswith("@") else address)


def to_supervisor(descriptor: int, on_lost: Callable[[OSError], None]) -> Notifier:
    """Return the notifier of a worker process. Its supervisor reads the same lines from a pipe.

    :param descriptor: the pipe's end, which programs that this one starts do not inherit.
    :param on_lost: called when the supervisor has ended.
    :raises OSError: there is no such descriptor, or it is no pipe.
    """
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    os.set_inheritable(descriptor, False)
    os.set_blocking(descriptor, False)
    return Notifier(lambda data: os.write(descriptor, data), watchdog=2.0, on_lost=on_lost)
