"""A broker's answers to py-amqp, a line an observation: ``python -m tools.probes.py_amqp_probe URL [SCENARIO...]``.

A second opinion, which encodes numbers and tables in another way than pika.
"""

from __future__ import annotations

import sys

from tools.probes import py_amqp_declaring, py_amqp_messages  # noqa: F401 - each brings its scenarios
from tools.probes.py_amqp_support import SCENARIOS, Probe, describe_error


def main(url: str, *chosen: str) -> None:
    """Run the scenarios, all or those that are chosen; one that goes wrong says how, and the next one follows."""
    for scenario in SCENARIOS:
        if chosen and scenario.__name__ not in chosen:
            continue
        probe = Probe(url, scenario.__name__)
        for step, what in ((scenario, "ended by"), (Probe.clean_up, "not cleaned up:")):
            try:
                step(probe)
            except Exception as error:
                probe.say(f"{what} {describe_error(error)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
