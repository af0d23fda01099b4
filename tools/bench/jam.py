"""The traffic jam: one process has 10,000 messages to put through, and a blocking client waits for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tools.bench.catalogue import OURS, PY_AMQP, Peer
from tools.bench.effort import Effort
from tools.bench.results import JamSample
from tools.bench.stage import PEER_TROUBLE, Stage

QUEUE = "rpc.Bench"
KINDS = {"calls": "client", "publishes": "publish"}
"""The messages that are put through, and the verb for each."""


def jam(stage: Stage, peers: Sequence[Peer], effort: Effort, say: Callable[[str], None]) -> list[JamSample]:
    """Put calls and confirmed publishes through, the blocking client's and ours in turn."""
    samples: list[JamSample] = []
    failed: set[tuple[str, str]] = set()
    for number in range(1, effort.slow_rounds + 1):
        say(f"traffic jam, round {number} of {effort.slow_rounds}")
        for what in KINDS:
            for peer in (PY_AMQP, OURS):
                if peer not in peers or (peer.name, what) in failed:
                    continue
                doing = f"{effort.jam:,} {what}"
                try:
                    samples.append(_one(stage, peer, what, effort.jam, number))
                    say(f"  {peer.title}, {doing}: {samples[-1].seconds:.2f} s")
                except PEER_TROUBLE as error:
                    say(f"  {peer.title}, {doing}: FAILED: {error}")
                    stage.failed(peer, doing, error)
                    failed.add((peer.name, what))
    return samples


def _one(stage: Stage, peer: Peer, what: str, messages: int, number: int) -> JamSample:
    # The event-driven client sends all there is at once; the blocking one, used as its documentation says, cannot.
    in_flight = messages if peer is OURS else 1
    options = ("--calls", str(messages), "--in-flight", str(in_flight), "--timeline")
    with stage.server(peer) as server:
        url = server.url
        if what == "publishes":
            server.process.end()  # it has declared its queue; the messages are only to be kept
        with stage.client(peer, url, *options, verb=KINDS[what]) as client:
            client.begin()
            said = client.result(timeout=180)
    if peer is OURS and what == "publishes":
        stage.node.ctl("purge_queue", QUEUE)
    return JamSample(peer.name, what, number, said["calls"], said["seconds"], said["timeline"])
