"""Measures the objects and the cost of a topology at the broker, as services, workers and clients grow in number."""
