"""How hypothesis plays the state machines."""

from __future__ import annotations

import os

from hypothesis import settings

NORMAL = 100
"""Examples of the normal run."""

EXAMPLES = int(os.environ.get("RPC_EXAMPLES", NORMAL))


def machine_settings(steps: int) -> settings:
    """Return the settings of a machine whose examples have up to so many steps.

    The normal run plays the same examples each time, so that it fails for the change at hand alone. With more examples,
    new ones are drawn.
    """
    return settings(max_examples=EXAMPLES, stateful_step_count=steps, deadline=None, derandomize=EXAMPLES <= NORMAL)
