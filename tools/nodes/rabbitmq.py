"""A private RabbitMQ node: the real broker for tests, demo and benchmarks, without touching one that already runs.

Everything a node has (configuration, cookie, data, log) lives in a temporary folder, everything it listens on is a
free port of the loopback interface, and the processes it consists of are ours: the Erlang VM and an epmd of its own.
Both end with this process, even when it is killed (``tools/processes.py``). No root is needed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import attrs

from tools.nodes.ports import own_ports
from tools.processes import launch

_AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = b"\x01"

_OWN_PORTS = own_ports()

STOP_TIMEOUT = 60.0
"""Seconds that a node has to shut down in order, before it is killed. It needs two on an idle machine."""


class NodeFailed(Exception):
    """A broker did not start, or an operation on it failed; the message carries the end of its output."""


@attrs.frozen
class Programs:
    """Where RabbitMQ and Erlang are installed."""

    server: Path
    ctl: Path
    epmd: Path


def find_programs() -> Programs:
    """Find RabbitMQ's own scripts rather than a distribution's wrappers of them, which insist on being root.

    :raises NodeFailed: RabbitMQ or Erlang's epmd is not installed.
    """
    found = shutil.which("rabbitmq-server")
    beside_command = [Path(found).resolve().parent] if found else []
    installed = [Path("/usr/lib/rabbitmq/bin"), *sorted(Path("/").glob("*/rabbitmq/sbin"))]
    versions = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"), reverse=True)
    homes = [folder for folder in (*beside_command, *installed, *versions) if (folder / "rabbitmq-env").exists()]
    epmd = shutil.which("epmd") or next(map(str, Path("/usr/lib/erlang/bin").glob("epmd")), None)
    if not homes or not epmd:
        raise NodeFailed("RabbitMQ is not installed; on Debian: apt-get install rabbitmq-server")
    return Programs(homes[0] / "rabbitmq-server", homes[0] / "rabbitmqctl", Path(epmd))


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback interface on which nothing listens.

    They stay this process's own while nothing listens: a node may be down between ``kill()`` and ``start()``.
    """
    ports: list[int] = []
    for port in _OWN_PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise NodeFailed("no free TCP ports on 127.0.0.1")


@attrs.frozen
class Neighbourhood:
    """Settings that all nodes of a cluster share.

    :ivar epmd_port: of an epmd that runs already; the node does not end it.
    :ivar cookie: the secret by which nodes let each other in.
    :ivar kernel: further parameters of Erlang's ``kernel`` application, as its command line has them.
    """

    epmd_port: int
    cookie: str
    kernel: str = ""


def launch_logged(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
) -> subprocess.Popen[bytes]:
    """Launch one of RabbitMQ's programs; its output is appended to `log`."""
    with log.open("ab") as output:
        return launch(command, folder=folder, environment=environment, stdout=output)


class RabbitMQNode:
    """A :class:`~tools.nodes.broker_node.BrokerNode` of RabbitMQ.

    Constructing it chooses its folder and ports; :meth:`start` launches it.

    As a context manager it starts on entry and is closed on exit. All methods block.

    :param tls: also listen with TLS, under certificates of an authority made for this node.
    :param plugins: names of plugins to enable, such as ``rabbitmq_auth_mechanism_ssl``; none by default.
    :param config: further lines of ``rabbitmq.conf``, by key.
    :param neighbourhood: of nodes that are to form a cluster; without one the node has an epmd of its own.
    :ivar port: of the plain listener, the same over the node's whole life; ``tls_port`` likewise.
    :ivar url: ``amqp://`` URI of the plain listener, as user guest; ``tls_url`` the ``amqps://`` one.
    :ivar ca_file: PEM file of the authority that signed both certificates (with ``tls``).
    :ivar client_certificate: PEM file of a client's key and certificate, common name guest (with ``tls``).
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        plugins: Sequence[str] = (),
        config: Mapping[str, str] | None = None,
        neighbourhood: Neighbourhood | None = None,
    ) -> None:
        self._neighbourhood = neighbourhood
        self.programs = find_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="rabbitmq-node-"))
        self.log = self.folder / "node.log"
        self.name = f"rpc-{secrets.token_hex(6)}@localhost"
        self.port, self.tls_port, self._distribution_port, self._epmd_port = free_ports(4)
        if neighbourhood is not None:
            self._epmd_port = neighbourhood.epmd_port
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}"
        self.tls_url = f"amqps://guest:guest@localhost:{self.tls_port}"
        self.ca_file = self.folder / "ca.pem"
        self.client_certificate = self.folder / "client.pem"
        self._listening = [self.port, self.tls_port] if tls else [self.port]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._discard = weakref.finalize(self, _discard, self._processes, self.folder)
        self._write_files(tls, plugins, config or {})

    @property
    def pid(self) -> int | None:
        """Process id of the Erlang VM; None while it does not run."""
        return self._processes[-1].pid if self._processes and self._processes[-1].poll() is None else None

    def start(self, timeout: float = 90.0) -> RabbitMQNode:
        """Launch the node and return it once every listener answers AMQP.

        Data of an earlier run is still there.

        :param timeout: seconds to wait at most; about seven are needed on two idle cores.
        :raises NodeFailed: it ended, or did not answer in time; nothing is left running.
        """
        if self.pid is not None:
            return self
        self.kill()  # clears up after a crashed run
        self.log.unlink(missing_ok=True)
        deadline = time.monotonic() + timeout
        try:
            if self._neighbourhood is None:
                # RabbitMQ looks for an epmd and launches a daemon when it finds none, so ours must listen first.
                self._launch([str(self.programs.epmd), "-port", str(self._epmd_port), "-address", "127.0.0.1"])
                self._wait(lambda: answers(self._epmd_port, b"", b""), deadline)
            self._launch([str(self.programs.server), "-noinput"])
            self._wait(lambda: all(map(self._serves, self._listening)), deadline)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Shut the node down in order; its data stays until :meth:`close`. Harmless when it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node by SIGKILL, as a crash would; :meth:`start` brings it back on the same ports."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Take the broker down and up again inside the same Erlang VM: every connection ends, durable data stays.

        A quarter of the time that ``stop()`` and ``start()`` need.
        """
        self.ctl("stop_app")
        self.ctl("start_app")

    def close(self) -> None:
        """Stop the node and remove its folder; it cannot be used again."""
        self.stop()
        self._discard()

    def add_virtual_host(self, name: str) -> None:
        """Create a virtual host, open to guest; about a second's work, as :meth:`add_user` is."""
        self.ctl("add_vhost", name)
        self._permit("guest", name)

    def add_user(self, name: str, password: str, virtual_host: str) -> None:
        """Create a user with all permissions in one virtual host and none in others."""
        self.ctl("add_user", name, password)
        self._permit(name, virtual_host)

    def change_password(self, name: str, password: str) -> None:
        """Change the password of a user."""
        self.ctl("change_password", name, password)

    def close_connections(self, reason: str, virtual_host: str | None = None) -> None:
        """Close all connections, or those to one virtual host: code 320, with the reason."""
        only = () if virtual_host is None else ("--vhost", virtual_host)
        self.ctl("close_all_connections", *only, reason)

    def set_memory_alarm(self, on: bool) -> None:
        """Have any use of memory be too much, or the use of four fifths of the machine's."""
        self.ctl("set_vm_memory_high_watermark", "0.0001" if on else "0.8")

    def ctl(self, *arguments: str, timeout: float = 60.0) -> str:
        """Run ``rabbitmqctl`` against this node and return its output (about 0.4 s).

        :raises NodeFailed: it ended with an error, whose text is in the message; or the node does not run.
        """
        if self.pid is None:  # rabbitmqctl finds no epmd then, launches one as a daemon and leaves it behind
            raise NodeFailed(f"rabbitmqctl {' '.join(arguments)}: the node {self.name} does not run")
        command = [str(self.programs.ctl), "--quiet", "--node", self.name, *arguments]
        run = subprocess.run(
            command,
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if run.returncode:
            raise NodeFailed(f"rabbitmqctl {' '.join(arguments)}: {run.stdout}{run.stderr}")
        return run.stdout

    def log_tail(self, lines: int = 100) -> str:
        """The last lines that the latest run of the node wrote, for error messages."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def __enter__(self) -> RabbitMQNode:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _permit(self, user: str, virtual_host: str) -> None:
        self.ctl("set_permissions", "--vhost", virtual_host, user, ".*", ".*", ".*")

    def _launch(self, command: list[str]) -> None:
        self._processes.append(launch_logged(command, self._environment(), self.folder, self.log))

    def _wait(self, ready: Callable[[], bool], deadline: float) -> None:
        while not ready():
            ended = [process for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                what = f"ended with status {ended[0].returncode}" if ended else "does not answer"
                raise NodeFailed(f"RabbitMQ {what}; the end of its log:\n{self.log_tail()}")
            time.sleep(0.02)

    def _serves(self, port: int) -> bool:
        # Over TLS the handshake is left to the tests: the listener is open once the kernel accepts.
        if port == self.tls_port:
            return answers(port, b"", b"")
        return answers(port, _AMQP_HEADER, _METHOD_FRAME)

    def _end(self, how: signal.Signals) -> None:
        if self._processes:
            _end_process(self._processes.pop(), how)
        if self._processes:
            _end_process(self._processes.pop(), signal.SIGKILL)

    def _environment(self) -> dict[str, str]:
        # Nothing is inherited: RABBITMQ_* or ERL_* of the caller would lead to another node. The VM's scheduler
        # settings are RabbitMQ's own defaults, so that users get the same speed.
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        kernel = self._neighbourhood.kernel if self._neighbourhood is not None else ""
        files = {
            "CONF_ENV_FILE": "rabbitmq-env.conf",
            "CONFIG_FILE": "rabbitmq.conf",
            "ADVANCED_CONFIG_FILE": "advanced.config",
            "ENABLED_PLUGINS_FILE": "enabled_plugins",
            "FEATURE_FLAGS_FILE": "feature_flags",
            "GENERATED_CONFIG_DIR": "generated",
            "MNESIA_BASE": "data",
            "LOG_BASE": "logs",
            "PID_FILE": "pid",
        }
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CTL_DIST_PORT_MIN": "0",
            "RABBITMQ_CTL_DIST_PORT_MAX": "0",
            "RABBITMQ_CTL_ERL_ARGS": loopback,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{loopback} {kernel}".rstrip(),
            "RABBITMQ_LOGS": "-",
            # With input allowed the start script becomes the VM by exec, so the pid we signal is the VM's; the
            # -noinput given to start() takes the shell away again.
            "RABBITMQ_ALLOW_INPUT": "1",
            **{f"RABBITMQ_{key}": str(self.folder / value) for key, value in files.items()},
        }

    def _write_files(self, tls: bool, plugins: Iterable[str], config: Mapping[str, str]) -> None:
        lines = {"listeners.tcp.1": f"127.0.0.1:{self.port}", "disk_free_limit.absolute": "1MB"}
        if tls:
            _write_certificates(self.ca_file, self.folder / "server.pem", self.client_certificate)
            lines |= {
                "listeners.ssl.1": f"127.0.0.1:{self.tls_port}",
                "ssl_options.cacertfile": str(self.ca_file),
                "ssl_options.certfile": str(self.folder / "server.pem"),
                "ssl_options.keyfile": str(self.folder / "server.pem"),
                "ssl_options.verify": "verify_peer",
                "ssl_options.fail_if_no_peer_cert": "false",
            }
        settings = "".join(f"{key} = {value}\n" for key, value in (lines | dict(config)).items())
        (self.folder / "rabbitmq.conf").write_text(settings)
        (self.folder / "enabled_plugins").write_text(f"[{','.join(plugins)}].\n")
        (self.folder / "rabbitmq-env.conf").touch()
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(self._neighbourhood.cookie if self._neighbourhood is not None else secrets.token_hex(20))
        cookie.chmod(0o400)


def answers(port: int, question: bytes, answer: bytes) -> bool:
    """Whether a server on the port takes a connection and begins its answer as expected (empty: only takes it)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(question)
            return not answer or connection.recv(len(answer)) == answer
    except OSError:
        return False


def _end_process(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """End a child and reap it; one that ignores a polite signal is killed in the end."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _discard(processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    """Remove processes and folder of a node that is no longer referenced, at the latest when the interpreter exits."""
    while processes:
        _end_process(processes.pop(), signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _write_certificates(authority_file: Path, server_file: Path, client_file: Path) -> None:
    """An authority of our own, and PEM files (key and certificate) it signed for the server and for user guest."""
    import trustme  # here, because only nodes with TLS need it

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(authority_file))
    authority.issue_cert("localhost", "127.0.0.1", "::1").private_key_and_cert_chain_pem.write_to_path(str(server_file))
    guest = authority.issue_cert("guest.invalid", common_name="guest")
    guest.private_key_and_cert_chain_pem.write_to_path(str(client_file))
