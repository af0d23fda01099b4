"""The cost of metrics, traces and access logs, as a ratio within one run: ``python -m tools.observing``."""
