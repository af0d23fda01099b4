"""The peers: the libraries that are measured beside ours, their needs, and their limits."""

from __future__ import annotations

from pathlib import Path

import attrs

PEERS_FOLDER = Path(__file__).parent / "peers"
READY = "ready\n"
RABBITMQ, EMBEDDED, NATS, TCP = "RabbitMQ", "embedded", "NATS", "TCP, no broker"


@attrs.frozen
class Peer:
    """One library.

    :ivar program: its folder in ``peers/``, when that is not its name.
    :ivar carrier: the broker, or none, between client and server.
    :ivar in_flight: how many calls it is asked to have in flight. Those that spend a thread a call, or answer a few
        hundred a second, are spared the thousand.
    :ivar open_loop: whether its client can begin calls at a rate.
    :ivar packages: Debian packages it needs besides those of ``scripts/setup``.
    :ivar shown: distributions whose versions are told.
    :ivar build: the stubs that it needs: ``"thrift"``, ``"proto"``; ``"c"`` for a C program;
        ``"project"`` for ours, which is installed from this checkout.
    :ivar client: further arguments of its client.
    :ivar ready: the text that its server prints, once for each service, when it serves.
    """

    name: str
    title: str
    carrier: str = RABBITMQ
    in_flight: tuple[int, ...] = (1, 10, 100, 1000)
    open_loop: bool = True
    packages: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    build: str | None = None
    ready: str = READY
    program: str = ""
    client: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where its program is."""
        return PEERS_FOLDER / (self.program or self.name)


FEW = (1, 10, 100)

OURS = Peer(
    "ours",
    "this project",
    shown=("thrift-amqp-rpc", "Twisted", "thrift", "txAMQP"),
    build="project",
    ready="serving Bench",
)
ON_EMBEDDED = attrs.evolve(
    OURS, name="embedded", title="this project, embedded broker", carrier=EMBEDDED, program=OURS.name
)
ON_ASYNCIO = attrs.evolve(
    OURS, name="ours_asyncio", title="this project, rpc.aio", program=OURS.name, client=("--door", "asyncio")
)
ON_UVLOOP = attrs.evolve(
    ON_ASYNCIO, name="ours_uvloop", title="this project, rpc.aio on uvloop", client=("--door", "uvloop")
)
IN_THREADS = attrs.evolve(
    OURS,
    name="ours_blocking",
    title="this project, rpc.blocking, a thread each",
    in_flight=(1, 10),
    open_loop=False,
    program=OURS.name,
    client=("--door", "blocking"),
)
LIBRABBITMQ = Peer(
    "librabbitmq",
    "librabbitmq (C)",
    packages=("gcc", "libc6-dev", "librabbitmq-dev"),
    build="c",
    shown=("librabbitmq-dev",),
)
PY_AMQP = Peer("py_amqp", "py-amqp, one at a time", in_flight=(1,), open_loop=False, shown=("amqp",))

PEERS = (
    OURS,
    ON_EMBEDDED,
    ON_ASYNCIO,
    ON_UVLOOP,
    IN_THREADS,
    LIBRABBITMQ,
    Peer("thrift_ttwisted", "Thrift TTwisted", TCP, shown=("thrift", "Twisted"), build="thrift"),
    Peer("pika_twisted", "pika on Twisted", shown=("pika", "Twisted")),
    Peer("txamqp_thrift", "txamqp.contrib.thrift", shown=("txAMQP", "thrift", "Twisted"), build="thrift"),
    Peer("aio_pika", "aio-pika RPC", shown=("aio-pika", "uvloop")),
    Peer("oslo_messaging", "oslo.messaging", in_flight=FEW, open_loop=False, shown=("oslo.messaging", "kombu", "amqp")),
    Peer("nameko", "nameko", in_flight=FEW, open_loop=False, shown=("nameko", "kombu", "amqp", "eventlet")),
    Peer("faststream", "FastStream", shown=("faststream", "aio-pika", "uvloop")),
    Peer("kombu", "kombu on py-amqp", open_loop=False, shown=("kombu", "amqp")),
    PY_AMQP,
    Peer("grpc_aio", "grpc.aio", TCP, shown=("grpcio", "protobuf"), build="proto"),
    Peer("nats_py", "nats-py", NATS, packages=("nats-server",), shown=("nats-py", "uvloop")),
)

BY_NAME = {peer.name: peer for peer in PEERS}
