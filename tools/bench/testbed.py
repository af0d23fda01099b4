"""Where a run happens: one private RabbitMQ node, a NATS server, and the processes of one peer at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import attrs

from tools.bench.catalogue import EMBEDDED, GATEWAY, NATS, RABBITMQ, READY, TCP, Peer
from tools.bench.environments import Environment, InstallationFailed, clean_variables, install
from tools.bench.processes import PeerProcess
from tools.bench.results import INSTALLATION, Failure
from tools.nodes.rabbitmq import NodeFailed, RabbitMQNode, free_ports
from tools.processes import ProcessFailed, cpu_seconds

LIMIT = 180.0
"""Seconds that a client has, unless its work is long by nature."""


@attrs.frozen
class Run:
    """A client's figures, and the processor time of the others meanwhile, in seconds."""

    said: dict[str, Any]
    server_cpu: float
    broker_cpu: float | None


class Testbed:
    """Brokers and environments; a context manager.

    :ivar part: the part of the run that is in progress.
    :ivar failures: of all peers.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._stack = ExitStack()
        self._nats: PeerProcess | None = None
        self._embedded: PeerProcess | None = None
        self._environments: dict[str, Environment] = {}
        self.part = INSTALLATION
        self.failures: list[Failure] = []

    def __enter__(self) -> Testbed:
        with ExitStack() as stack:
            temporary = TemporaryDirectory(prefix="rpc-bench-", ignore_cleanup_errors=True)
            self._folder = Path(stack.enter_context(temporary))
            self.node = stack.enter_context(RabbitMQNode())
            stack.callback(self.node.kill)  # its data is not needed
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def environment(self, peer: Peer) -> Environment:
        """The peer's environment, installed when it is first asked for.

        :raises InstallationFailed: it cannot be installed.
        """
        if peer.name not in self._environments:
            self._environments[peer.name] = install(peer, self._cache)
        return self._environments[peer.name]

    def failed(self, peer: Peer, doing: str, error: Exception) -> None:
        """Note that `peer` failed."""
        self.failures.append(Failure(peer.name, self.part, doing, str(error)))

    @contextmanager
    def server(self, peer: Peer, *options: str, times: int = 1) -> Iterator[Server]:
        """The peer's server, serving; ended on exit.

        :param times: how often it says that it is ready.
        :raises ProcessFailed: it does not start.
        """
        url, broker = self._address(peer)
        with self._process(peer, "server", "--broker", url, *options) as process:
            process.wait_for(peer.ready, times=times)
            if peer.carrier != GATEWAY:
                yield Server(url, process, broker)
                return
            with self._gateway(self.environment(peer), url) as (gateway_url, gateway):
                yield Server(gateway_url, process, broker, gateway.pid)

    @contextmanager
    def client(self, peer: Peer, url: str, *options: str, verb: str = "client") -> Iterator[PeerProcess]:
        """The peer's client, connected and warm; it waits for ``begin()``. Ended on exit.

        :raises ProcessFailed: it does not get so far.
        """
        caller = peer.caller or peer
        with self._process(caller, verb, "--broker", url, "--wait", *caller.client, *options) as process:
            process.wait_for(READY, timeout=LIMIT)
            yield process
            process.leave()

    def run(self, peer: Peer, server: Server, *options: str, limit: float = LIMIT) -> Run:
        """Have a client do its work, and look at the processes right before and after.

        :raises ProcessFailed: it does not succeed.
        """
        with self.client(peer, server.url, *options) as client:
            worker_before, broker_before = server.cpu()
            client.begin()
            said = client.result(limit)
            worker_after, broker_after = server.cpu()
        broker = None if broker_before is None or broker_after is None else broker_after - broker_before
        return Run(said, worker_after - worker_before, broker)

    def wait_for_depth(self, queue: str, depth: int, timeout: float) -> None:
        """Block until so many messages wait in `queue`.

        :raises ProcessFailed: that takes too long.
        """
        deadline = time.monotonic() + timeout
        seen = -1
        while seen < depth:
            if time.monotonic() > deadline:
                raise ProcessFailed(f"only {seen:,} of {depth:,} messages were in {queue} after {timeout:.0f} s")
            lines = self.node.ctl("list_queues", "name", "messages").splitlines()
            seen = next((int(line.split("\t")[1]) for line in lines if line.startswith(f"{queue}\t")), -1)

    def versions(self) -> dict[str, str]:
        """Of the brokers."""
        erlang = self.node.ctl("eval", 'io:format(<<"~s">>, [erlang:system_info(otp_release)]).')
        return {"RabbitMQ": self.node.ctl("version").strip(), "Erlang/OTP": erlang.splitlines()[0].removesuffix("ok")}

    def _process(self, peer: Peer, *words: str) -> PeerProcess:
        environment = self.environment(peer)
        folder = self._folder / f"{peer.name}-{time.monotonic_ns()}"
        folder.mkdir()
        return PeerProcess(f"{words[0]} of {peer.title}", [*environment.command, *words], environment.variables, folder)

    def _address(self, peer: Peer) -> tuple[str, int | None]:
        """The URL that server and client are to use, and the broker's process id."""
        if peer.carrier in (RABBITMQ, GATEWAY):
            return self.node.url, self.node.pid
        if peer.carrier == EMBEDDED:
            return self._embedded_address(self.environment(peer))
        if peer.carrier == NATS:
            self.environment(peer)  # which installs the server
            return self._nats_address()
        assert peer.carrier == TCP
        return f"tcp://127.0.0.1:{free_ports(1)[0]}", None

    def _embedded_address(self, environment: Environment) -> tuple[str, int]:
        if self._embedded is None:
            folder = self._folder / "embedded-broker"
            folder.mkdir()
            (self._embedded_port,) = free_ports(1)
            twistd = str(Path(environment.command[0]).with_name("twistd"))
            command = [twistd, "-n", "--pidfile=", "rpc-broker", "--port", str(self._embedded_port)]
            broker = PeerProcess("embedded broker", command, environment.variables, folder)
            self._embedded = self._stack.enter_context(broker)
            self._embedded.wait_for("the embedded broker listens on")
        return f"amqp://127.0.0.1:{self._embedded_port}", self._embedded.pid

    @contextmanager
    def _gateway(self, environment: Environment, broker: str) -> Iterator[tuple[str, PeerProcess]]:
        """A gateway to the service of the worker that serves, with the prefetch of the servers."""
        folder = self._folder / f"gateway-{time.monotonic_ns()}"
        folder.mkdir()
        (port,) = free_ports(1)
        twistd = str(Path(environment.command[0]).with_name("twistd"))
        command = [twistd, "-n", "--pidfile=", "rpc-gateway", "--broker", broker]
        command += ["--framed", f"tcp:{port}:interface=127.0.0.1", "--in-flight", "1000", "Bench"]
        with PeerProcess("gateway", command, environment.variables, folder) as gateway:
            gateway.wait_for("the gateway listens on")
            yield f"tcp://127.0.0.1:{port}", gateway

    def _nats_address(self) -> tuple[str, int]:
        if self._nats is None:
            folder = self._folder / "nats-server"
            folder.mkdir()
            (self._nats_port,) = free_ports(1)
            command = ["nats-server", "--addr", "127.0.0.1", "--port", str(self._nats_port)]
            self._nats = self._stack.enter_context(PeerProcess("NATS server", command, clean_variables(), folder))
            self._nats.wait_for("Server is ready")
        return f"nats://127.0.0.1:{self._nats_port}", self._nats.pid


@attrs.frozen
class Server:
    """A server that serves.

    :ivar url: where its clients reach it.
    :ivar broker: process id of the broker between, if there is one.
    :ivar gateway: that of the gateway before the broker, if there is one.
    """

    url: str
    process: PeerProcess
    broker: int | None
    gateway: int | None = None

    def cpu(self) -> tuple[float, float | None]:
        """Processor time so far: of the server, with the gateway before it; and of the broker."""
        serving = cpu_seconds(self.process.pid) + (0.0 if self.gateway is None else cpu_seconds(self.gateway))
        return serving, None if self.broker is None else cpu_seconds(self.broker)


PEER_TROUBLE = (InstallationFailed, ProcessFailed, NodeFailed, OSError)
"""Exceptions that end the measurement of one peer; the others go on."""
