"""TCP keepalive: the kernel asks a silent peer whether it is there (tcp(7); RFC 9293, section 3.8.4).

Heartbeats notice a dead peer sooner. Without them (``heartbeat=0``), nothing else would while there is nothing to send.
"""

from __future__ import annotations

import socket
from typing import Final

IDLE_SECONDS: Final = 60
PROBE_SECONDS: Final = 15
PROBES: Final = 4
"""A peer that is silent for so long is asked so often, with so much time between. Then the connection has ended."""

_OPTIONS: Final = (("TCP_KEEPIDLE", IDLE_SECONDS), ("TCP_KEEPINTVL", PROBE_SECONDS), ("TCP_KEEPCNT", PROBES))


def keep_alive(connected: socket.socket) -> None:
    """Switch keepalive on, with our times where the system lets a program set them. A socket without TCP has none."""
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS:
        option = getattr(socket, name, None)
        if option is not None:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)
