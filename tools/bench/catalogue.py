"""The peers: the libraries that are measured beside ours, their needs, and their limits."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import attrs

PEERS_FOLDER = Path(__file__).parent / "peers"
READY = "ready\n"
RABBITMQ, EMBEDDED, NATS, TCP = "RabbitMQ", "embedded", "NATS", "TCP, no broker"
GATEWAY = "gateway and RabbitMQ"


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
    :ivar caller: the peer whose client calls its server, when that is not its own.
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
    caller: Peer | None = None

    @property
    def folder(self) -> Path:
        """Where its program is."""
        return PEERS_FOLDER / (self.program or self.name)


FEW = (1, 10, 100)
AT_ONCE, FEW_AT_ONCE, THREADS = (1, 8, 100, 1000), (1, 8, 100), (1, 8)
"""Calls in flight of the callers. Eight for all, so that eight threads stand beside as many calls of the others."""

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
    OURS,
    name="ours_asyncio",
    title="this project, rpc.aio",
    in_flight=AT_ONCE,
    program=OURS.name,
    client=("--door", "asyncio"),
)
ON_UVLOOP = attrs.evolve(
    ON_ASYNCIO, name="ours_uvloop", title="this project, rpc.aio on uvloop", client=("--door", "uvloop")
)
IN_THREADS = attrs.evolve(
    OURS,
    name="ours_blocking",
    title="this project, rpc.blocking in threads",
    in_flight=THREADS,
    open_loop=False,
    program=OURS.name,
    client=("--door", "blocking"),
)
TTWISTED = Peer("thrift_ttwisted", "Thrift TTwisted", TCP, shown=("thrift", "Twisted"), build="thrift")
THROUGH_GATEWAY = attrs.evolve(
    OURS,
    name="ours_gateway",
    title="this project's gateway, called by Thrift TTwisted",
    carrier=GATEWAY,
    in_flight=AT_ONCE,
    program=OURS.name,
    caller=TTWISTED,
)
LIBRABBITMQ = Peer(
    "librabbitmq",
    "librabbitmq (C)",
    packages=("gcc", "libc6-dev", "librabbitmq-dev"),
    build="c",
    shown=("librabbitmq-dev",),
)
PY_AMQP = Peer("py_amqp", "py-amqp, one at a time", in_flight=(1,), open_loop=False, shown=("amqp",))

AIO_PIKA = Peer("aio_pika", "aio-pika RPC", shown=("aio-pika", "uvloop"))
GRPC_AIO = Peer("grpc_aio", "grpc.aio", TCP, shown=("grpcio", "protobuf"), build="proto")
GRPC_IN_THREADS = attrs.evolve(
    GRPC_AIO, name="grpc_threads", title="grpc in threads", in_flight=THREADS, open_loop=False
)
KOMBU = Peer("kombu", "kombu on py-amqp", open_loop=False, shown=("kombu", "amqp"))
KOMBU_IN_THREADS = attrs.evolve(
    KOMBU,
    name="kombu_threads",
    title="kombu in threads",
    in_flight=THREADS,
    program=KOMBU.name,
    client=("--threads",),
)

PEERS = (
    OURS,
    ON_EMBEDDED,
    LIBRABBITMQ,
    TTWISTED,
    Peer("pika_twisted", "pika on Twisted", shown=("pika", "Twisted")),
    Peer("txamqp_thrift", "txamqp.contrib.thrift", shown=("txAMQP", "thrift", "Twisted"), build="thrift"),
    AIO_PIKA,
    Peer("oslo_messaging", "oslo.messaging", in_flight=FEW, open_loop=False, shown=("oslo.messaging", "kombu", "amqp")),
    Peer("nameko", "nameko", in_flight=FEW, open_loop=False, shown=("nameko", "kombu", "amqp", "eventlet")),
    Peer("faststream", "FastStream", shown=("faststream", "aio-pika", "uvloop")),
    KOMBU,
    PY_AMQP,
    GRPC_AIO,
    Peer("nats_py", "nats-py", NATS, packages=("nats-server",), shown=("nats-py", "uvloop")),
)

"""The libraries that are compared with each other."""

CALLERS = (
    attrs.evolve(OURS, title="this project, Twisted", in_flight=AT_ONCE),
    ON_ASYNCIO,
    ON_UVLOOP,
    IN_THREADS,
    THROUGH_GATEWAY,
    attrs.evolve(AIO_PIKA, in_flight=FEW_AT_ONCE),
    KOMBU_IN_THREADS,
    attrs.evolve(GRPC_AIO, in_flight=FEW_AT_ONCE),
    GRPC_IN_THREADS,
)
"""The ways to call: from Twisted, asyncio, threads, and with a stock Thrift client."""

BY_NAME = {peer.name: peer for peer in (*PEERS, *CALLERS)} | {peer.name: peer for peer in PEERS}
"""All of them. A peer of both lists has the title of a library."""


def needed(parts: Collection[str], only: Collection[str] = ()) -> dict[str, Peer]:
    """Return the peers that these parts of the benchmark measure, by name; of `only`, when that is not empty."""
    lists = [*(PEERS if set(parts) - {"callers"} else ()), *(CALLERS if "callers" in parts else ())]
    return {peer.name: peer for peer in lists if not only or peer.name in only}
