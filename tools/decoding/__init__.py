"""Hostile shapes of messages, and what decoding them costs: ``python -m tools.decoding``."""
