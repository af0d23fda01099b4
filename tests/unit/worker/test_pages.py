"""The tables of states in docs/architecture.md are those of the code."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rpc.worker.consumer import ConsumerState
from rpc.worker.delivery_state import TRANSITIONS, DeliveryState
from rpc.worker.intake import Action
from rpc.worker.worker_state import WorkerState

PAGE = (Path(__file__).parents[3] / "docs" / "architecture.md").read_text("utf-8")


class PageTests(SynchronousTestCase):
    """Each row."""

    def test_the_page_has_every_state_of_a_delivery_with_its_transitions(self) -> None:
        """In the order of the enum."""
        for state in DeliveryState:
            following = ", ".join(each.value for each in DeliveryState if each in TRANSITIONS[state])
            self.assertRegex(PAGE, rf"(?m)^\| {state.value} \| [^|]+ \| {following} \|$")

    def test_the_page_has_every_decision_with_its_reason(self) -> None:
        """As the enum words it."""
        for action in Action:
            self.assertIn(f"| `{action.name}` | {action.value} |", PAGE)

    def test_the_page_has_the_states_of_worker_and_consumer(self) -> None:
        """As the enums word them."""
        for state in (*WorkerState, *ConsumerState):
            self.assertIn(f"| `{type(state).__name__}.{state.name}` | {state.value} |", PAGE)
