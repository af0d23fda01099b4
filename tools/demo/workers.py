"""The demo's workers."""

from __future__ import annotations

from pathlib import Path

from tools.demo.processes import TwistdProcess

SERVICES = {"Calculator": "services.calculator", "KeyValueStore": "services.kvstore", "Report": "services.report"}
"""The services of each worker: their names and modules."""


def start_worker(number: int, broker_url: str, folder: Path) -> TwistdProcess:
    """Return ``twistd -n rpc-worker`` with the three services, which both workers keep in the same store."""
    return TwistdProcess(
        f"worker {number}",
        "rpc-worker",
        *(f"{module}:service" for module in SERVICES.values()),
        environment={"RPC_BROKER": broker_url, "KVSTORE_PATH": str(folder / "kvstore.sqlite3")},
    )


def wait_until_serving(worker: TwistdProcess) -> None:
    """Block until the worker says that it consumes the requests of every service.

    :raises tools.processes.ProcessFailed: it ended, or does not say so in time.
    """
    worker.wait_for(*(f"serving {name} from" for name in SERVICES))
