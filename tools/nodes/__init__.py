"""Broker nodes that a test or a program starts for itself, on free ports."""
