"""TCP keepalive: the kernel asks a silent peer whether it is there (tcp(7); RFC 9293, section 3.8.4).

Heartbeats notice a dead peer sooner. Without them (``heartbeat=0``), nothing else would while there is nothing to send.
While data is unsent, the kernel's retransmissions notice it. A limit of their time (``TCP_USER_TIMEOUT``) would also
end connections to a broker that is alive and does not read, as under an alarm.
"""

from __future__ import annotations

import socket
from typing import Final

IDLE_SECONDS: Final = 60
PROBE_SECONDS: Final = 15
PROBES: Final = 4
"""After the seconds of silence, the kernel sends the probes, with the seconds between them. If none is answered, it
ends the connection.
"""

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
