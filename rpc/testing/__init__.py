"""For tests of services: a harness with broker, worker and client in one process, and faults on demand.

The code is that of production, over real sockets of the loopback interface. Only the broker is the embedded one.
"""

from rpc.testing.faults import Fault, Faults
from rpc.testing.harness import Harness
from rpc.testing.recording import Call

__all__ = ["Call", "Fault", "Faults", "Harness"]
