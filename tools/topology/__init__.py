"""Measures what a topology needs at the broker and what it costs, as services, workers and clients grow in number."""
