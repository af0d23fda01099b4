"""Hostile messages among good calls: their effect on a worker's other callers."""
