"""States for a service manager, as sd_notify(3) has them."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rpc.serving.notifier import service_manager, to_supervisor
from tests.unit.logs import logged


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Yield a service manager's socket, and its name in the environment."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@rpc-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0"))
        receiver.settimeout(10)
        yield name, receiver


def test_sends_each_state(manager: tuple[str, socket.socket]) -> None:
    """One datagram each. Programs that this one starts do not inherit the variables."""
    name, receiver = manager
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid()), "OTHER": "1"}
    notifier = service_manager(environment)
    assert environment == {"OTHER": "1"}
    assert notifier.watchdog == 4.0
    notifier.ready()
    notifier.alive()
    notifier.status("BLOCKED", "not ready: the broker is blocked")
    notifier.stopping()
    told = [receiver.recv(1000).decode() for _ in range(4)]
    assert told == [
        "READY=1\n",
        "WATCHDOG=1\n",
        "STATUS=not ready: the broker is blocked\nX_READINESS=BLOCKED\n",
        "STOPPING=1\n",
    ]
    notifier.reloading()
    assert receiver.recv(1000).decode().startswith("RELOADING=1\nMONOTONIC_USEC=")


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getppid())},
    ],
)
def test_gives_no_sign_of_life_that_is_not_wanted(watchdog: dict[str, str]) -> None:
    """The watchdog may be another process's."""
    sent: list[bytes] = []
    notifier = service_manager({"NOTIFY_SOCKET": "/nowhere", **watchdog})
    assert notifier.watchdog is None
    notifier._send = sent.append
    notifier.alive()
    assert sent == []


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_does_nothing_without_a_socket(address: str) -> None:
    """Of the kinds that the protocol has."""
    notifier = service_manager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000"})
    notifier.ready()
    notifier.alive()
    assert notifier.watchdog is None


def test_a_receiver_that_does_not_read_hears_the_state_later(manager: tuple[str, socket.socket]) -> None:
    """With the next keepalive, also without a watchdog. Of several states it is the last one."""
    name, receiver = manager
    notifier = service_manager({"NOTIFY_SOCKET": name})
    full = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                other.sendto(b"x", name.replace("@", "\0"))
                full += 1
    notifier.status("CONNECTING", "not ready")
    notifier.reloading()
    notifier.status("READY", "ready")
    notifier.ready()
    for _ in range(full):
        assert receiver.recv(1000) == b"x"
    notifier.alive()
    assert receiver.recv(1000) == b"STATUS=ready\nX_READINESS=READY\nREADY=1\n"
    notifier.alive()
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(1000)


def test_a_socket_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    """It is logged once. The state is told when the socket is there again: the service manager was updated."""
    name = str(tmp_path / "notify")
    notifier = service_manager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "4000000"})
    with logged() as lines:
        notifier.ready()
        notifier.alive()
    assert [line for line in lines if "No such file or directory" in line] == lines
    assert len(lines) == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name)
        receiver.settimeout(10)
        notifier.alive()
        assert receiver.recv(1000) == b"READY=1\nWATCHDOG=1\n"


def test_a_name_that_is_too_long_is_named() -> None:
    """Python refuses it without an error of the system."""
    with logged() as lines:
        service_manager({"NOTIFY_SOCKET": "/" + "x" * 200}).ready()
    assert len(lines) == 1
    assert "AF_UNIX path too long" in lines[0]


def test_a_worker_process_notices_the_end_of_its_supervisor() -> None:
    """Once. A supervisor that does not read is no lost one."""
    read, write = os.pipe()
    lost: list[OSError] = []
    notifier = to_supervisor(write, lost.append)
    assert not os.get_inheritable(write)
    notifier.ready()
    assert os.read(read, 100) == b"READY=1\n"
    for _ in range(20000):
        notifier.alive()
    assert lost == []
    os.close(read)
    notifier.alive()
    notifier.alive()
    assert [type(error) for error in lost] == [BrokenPipeError]
    os.close(write)
