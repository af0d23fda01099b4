"""The demo of ``scripts/demo``."""
