"""The reference of the queue machine is right: RabbitMQ and the embedded broker act as it predicts."""

from __future__ import annotations

from tests.integration.reference_player import Player
from tools.nodes.broker_node import BrokerNode
from tools.nodes.embedded import EmbeddedNode

SEQUENCES = 24
STEPS = 25


def play(url: str) -> None:
    """Play all sequences, each drawn from its number."""
    for seed in range(SEQUENCES):
        player = Player(url, seed)
        try:
            player.play(STEPS)
        finally:
            player.close()


def test_rabbitmq_does_what_the_reference_predicts(broker: BrokerNode) -> None:
    """Otherwise the machine would compare the embedded broker with a fiction."""
    play(broker.url)


def test_the_embedded_broker_does_what_the_reference_predicts() -> None:
    """The same sequences, over sockets."""
    with EmbeddedNode() as node:
        play(node.url)
