"""For tests of services: broker, worker and client in one process, started in milliseconds, with faults on demand.

What runs is what runs in production, over real sockets of the loopback interface; only the broker is the embedded one.
"""

from rpc.testing.faults import Fault, Faults
from rpc.testing.recording import Call
from rpc.testing.stage import Stage

__all__ = ["Call", "Fault", "Faults", "Stage"]
