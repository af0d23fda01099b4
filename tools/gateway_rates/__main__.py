"""Measures: ``python -m tools.gateway_rates [--broker embedded] [--calls N] [--rounds N] [--in-flight N]``."""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import Final

from tools.gateway_rates.programs import LISTENS
from tools.nodes.broker_node import BrokerNode
from tools.nodes.embedded import EmbeddedNode
from tools.nodes.rabbitmq import RabbitMQNode
from tools.processes import Process, cpu_seconds, twistd

SERVICE: Final = "services.calculator:service"

LONGEST: Final = 300.0
"""Seconds of one client."""

GOALS: Final = (
    ("stock client, gateway", "stock client, Thrift's server", 0.5),
    ("cheap client, gateway", "direct client", 0.6),
    ("stock client, gateway", "direct client", None),
    ("direct client", "stock client, Thrift's server", None),  # no gateway can do better
)
"""Ratios, with the least that they are to be."""


def program(*words: str) -> Process:
    """Start a process of the measurement."""
    return Process(words[0], [sys.executable, "-m", "tools.gateway_rates.programs", *words])


def rate(role: str, address: str, chosen: argparse.Namespace) -> float:
    """Return the rate that a client measures."""
    with program(role, address, str(chosen.calls), str(chosen.in_flight)) as client:
        client.wait(LONGEST)
        return float(client.output().splitlines()[-1])


def measure(node: BrokerNode, chosen: argparse.Namespace) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the rates of all rounds by their way, and microseconds of processor time a call by process."""
    endpoint = "tcp:0:interface=127.0.0.1"
    options = ["--in-flight", str(chosen.in_flight), *(["--unordered"] if chosen.unordered else [])]
    with (
        Process("worker", twistd("rpc-worker", "--broker", node.url, SERVICE)) as worker,
        Process(
            "gateway", twistd("rpc-gateway", "--broker", node.url, "--framed", endpoint, *options, "Calculator")
        ) as gateway,
        program("serve", "") as server,
    ):
        worker.wait_for("serving Calculator from")
        gateway_port = gateway.wait_for_line("listens on").partition("127.0.0.1:")[2].split()[0]
        server_port = server.wait_for_line(LISTENS).partition(LISTENS)[2].strip()
        ways = {
            "direct client": ("direct", node.url),
            "cheap client, gateway": ("frames", gateway_port),
            "stock client, gateway": ("stock", gateway_port),
            "cheap client, Thrift's server": ("frames", server_port),
            "stock client, Thrift's server": ("stock", server_port),
        }
        servers = {"gateway": gateway, "Thrift's server": server}
        before = {name: cpu_seconds(process.pid) for name, process in servers.items()}
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(chosen.rounds):
            for way, (role, address) in ways.items():
                rates[way].append(rate(role, address, chosen))
        calls = 2 * chosen.rounds * (chosen.calls + max(chosen.in_flight, chosen.calls // 10))  # two clients each
        used = {name: (cpu_seconds(process.pid) - before[name]) / calls * 1e6 for name, process in servers.items()}
    return rates, used


def main() -> None:
    """Measure, and print the medians and the ratios."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--broker", choices=("rabbitmq", "embedded"), default="rabbitmq")
    arguments.add_argument("--calls", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--in-flight", type=int, default=100)
    arguments.add_argument("--unordered", action="store_true")
    chosen = arguments.parse_args()
    node: BrokerNode = EmbeddedNode() if chosen.broker == "embedded" else RabbitMQNode()
    with node:
        rates, used = measure(node, chosen)
    for way, each in rates.items():
        shown = " ".join(f"{value:8,.0f}" for value in each)
        print(f"{way:32} {statistics.median(each):8,.0f} calls a second   rounds: {shown}")
    for name, microseconds in used.items():
        print(f"{name}: {microseconds:.0f} microseconds of processor time a call")
    for one, other, least in GOALS:
        ratio = statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))
        goal = "" if least is None else f" (to be at least {least})"
        print(f"{one} / {other}: {ratio:.2f}{goal}")


if __name__ == "__main__":
    main()
