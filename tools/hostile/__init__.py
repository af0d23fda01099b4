"""Hostile messages among good calls: what a worker's other callers notice of them."""
