"""Our AMQP 0-9-1 definition, because txAMQP ships none: the standard's classes with RabbitMQ's extensions.

The XML is read as package data, so it is found in a checkout, an installed wheel and a zipped application alike.
"""

from __future__ import annotations

import functools
from importlib import resources

import txamqp.spec

SPEC_FILE = "amqp0-9-1.xml"


@functools.cache
def load_spec() -> txamqp.spec.Spec:
    """Return the parsed definition: one object for the whole process, made at the first call. Treat it as read-only."""
    text = resources.files(__name__).joinpath(SPEC_FILE).read_bytes()
    return txamqp.spec.load_string(text, SPEC_FILE)
