"""The answers of a broker to py-amqp, a line each: ``python -m tools.probes.py_amqp_probe URL [SCENARIO...]``.

A second client: it encodes numbers and tables otherwise than pika, and recovers from a loss otherwise.
"""

from __future__ import annotations

import sys

from tools.probes import py_amqp_declaring, py_amqp_messages  # noqa: F401 - each brings its scenarios
from tools.probes.py_amqp_support import SCENARIOS, Probe, describe_error


def main(url: str, *chosen: str) -> None:
    """Run all scenarios, or the chosen ones. A failure is reported, and the next one follows."""
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
