"""In which arguments a queue differs from a declaration, for an operator to read. Pure.

AMQP 0-9-1 has no method that returns the arguments of a queue. But the broker refuses a declaration with other
arguments (406), and its text has the first that differs, with both values. The next declaration has the value of the
queue there, and so the broker names the next one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

_REFUSAL = re.compile(
    r"inequivalent arg '(?P<name>x-[^']+)' for queue .*: received .* but current is "
    r"(?:none|(?:the value )?'(?P<value>[^']*)'(?: of type '\w+')?)$",
    re.DOTALL,
)
"""RabbitMQ's words, which the embedded broker has as well."""


@attrs.frozen
class Difference:
    """One argument of a queue that is there.

    :ivar name: of the argument. :ivar value: the queue's; ``None``: it has none.
    """

    name: str
    value: Any

    @classmethod
    def read(cls, refusal: str) -> Difference | None:
        """Return the difference that a refusal names; ``None``: it names none."""
        found = _REFUSAL.search(refusal)
        if found is None:
            return None
        return cls(found["name"], _value(found["value"]))

    def applied(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments that do not differ here."""
        others = {name: value for name, value in arguments.items() if name != self.name}
        return others if self.value is None else {**others, self.name: self.value}

    def described(self, arguments: Mapping[str, Any]) -> str:
        """Return the old value and that of the new arguments."""
        return f"{self.name}: {_shown(self.value)} -> {_shown(arguments.get(self.name))}"


def _value(text: str | None) -> Any:
    """Return a value of the broker's text: numbers and truths are written as in JSON, texts without quotes."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
