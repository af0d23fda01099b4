"""A broker's answers to pika, a line an observation: ``python -m tools.probes.pika_probe URL [SCENARIO...]``.

It knows nothing of this framework: its outputs for two brokers are compared.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from tools.probes import (  # noqa: F401 - each brings its scenarios
    pika_arguments,
    pika_connections,
    pika_consuming,
    pika_dead_letters,
    pika_exchanges,
    pika_frames,
    pika_limits,
    pika_publishing,
    pika_queues,
    pika_reply_to,
    pika_routing,
    pika_settling,
)
from tools.probes.pika_support import SCENARIOS, Probe

LONGEST = 30  # seconds that a scenario may take; pika itself waits for answers as long as it must


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("no end in sight")


def main(url: str, *chosen: str) -> None:
    """Run the scenarios, all or those that are chosen; one that goes wrong says how, and the next one follows."""
    signal.signal(signal.SIGALRM, _out_of_time)
    for scenario in SCENARIOS:
        if chosen and scenario.__name__ not in chosen:
            continue
        probe = Probe(url, scenario.__name__)
        signal.alarm(LONGEST)
        try:
            scenario(probe)
        except Exception as error:
            probe.say(f"ended by {probe.describe_error(error)}")
        signal.alarm(LONGEST)
        try:
            probe.clean_up()
        except Exception as error:
            probe.say(f"not cleaned up: {probe.describe_error(error)}")
    signal.alarm(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
