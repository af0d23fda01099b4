"""The samples of a scrape, read by prometheus-client's own parser."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

ENDED = ("rpc_method", "error_type", "outcome")


def samples(registry: CollectorRegistry, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a name by the values of these labels."""
    text = generate_latest(registry).decode()
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def value(registry: CollectorRegistry, name: str, **labels: str) -> Any:
    """Return the value of one sample, or ``None``."""
    return registry.get_sample_value(name, labels)
