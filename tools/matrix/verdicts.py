"""What came of the legs, as a table."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from tools.matrix.legs import STEPS


@attrs.frozen
class Verdict:
    """What came of a step. :ivar last_line: of its output: pytest's has the numbers of tests."""

    passed: bool
    seconds: float
    last_line: str = ""

    def __str__(self) -> str:
        return f"{'ok' if self.passed else 'FAILED'}, {self.seconds / 60:.1f} min"


@attrs.define
class Outcome:
    """What came of a leg.

    :ivar description: of its environment; why there is none.
    :ivar is_made: False when the environment should be there, and could not be made.
    :ivar verdicts: by the step's title. None in a leg that was skipped.
    """

    name: str
    description: str
    is_made: bool = True
    verdicts: dict[str, Verdict] = attrs.field(factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing failed; a leg that was skipped has not failed."""
        return self.is_made and all(verdict.passed for verdict in self.verdicts.values())


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table: a row for each leg, a column for each step."""
    titles = list(dict.fromkeys(step.title for step in STEPS))
    rows = [["leg", "environment", *titles]]
    rows += [
        [outcome.name, outcome.description, *(str(outcome.verdicts.get(title, "–")) for title in titles)]
        for outcome in outcomes
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])
