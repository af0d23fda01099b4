"""Faults injected into real brokers, workers, clients and networks, and whether the promises hold under them."""
