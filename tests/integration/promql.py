"""The expressions of the alerts and of the dashboard, and the names in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from tests.integration.operations import FOLDER, documents_of


def rules() -> list[dict[str, Any]]:
    """Return the alerts, in order."""
    (document,) = documents_of("alerts.yaml")
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard that show something, in order."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def plain(expression: str, *, step: str = "1m", service: str = ".+") -> str:
    """Return an expression of the dashboard with values for Grafana's variables."""
    return expression.replace("$__rate_interval", step).replace("$service", service)


def expressions() -> Iterator[tuple[str, str]]:
    """Return the expressions of alerts and panels, with their names."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], plain(target["expr"])


@attrs.frozen
class Names:
    """The metrics and labels of an expression.

    :ivar selected: each metric with the labels of its matchers.
    :ivar grouped: labels in ``by``, ``without``, ``on`` and ``ignoring``.
    """

    selected: list[tuple[str, frozenset[str]]]
    grouped: frozenset[str]


def needs_parser() -> Any:
    """Return the parser. Without one, the test is skipped."""
    return pytest.importorskip("promql_parser")


def names_in(expression: str) -> Names:
    """Return the names in an expression."""
    parser = needs_parser()
    selected: list[tuple[str, frozenset[str]]] = []
    grouped: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, parser.VectorSelector):
            selected.append((node.name, frozenset(matcher.name for matcher in node.matchers.matchers)))
        elif isinstance(node, parser.AggregateExpr) and node.modifier is not None:
            grouped.update(node.modifier.labels)
        elif isinstance(node, parser.BinaryExpr) and node.modifier is not None and node.modifier.matching is not None:
            grouped.update(node.modifier.matching.labels)

    parser.walk(parser.parse(expression), visit)
    return Names(selected, frozenset(grouped))


def labels_in(text: str) -> set[str]:
    """Return the labels that a text of an alert (``{{ $labels.x }}``) or a legend (``{{x}}``) shows."""
    return set(re.findall(r"\{\{\s*(?:\$labels\.)?([a-z]\w*)\s*\}\}", text))
