"""Serves the service Glossary until Ctrl-C: ``python worker.py amqp://localhost``."""

import contextlib
import sys

import pika
from glossary_example import Glossary
from glossary_example.ttypes import UnknownTerm
from server import serve


class GlossaryHandler:
    """Explanations in memory."""

    def __init__(self):
        self._explanations = {}

    def define(self, term, explanation):
        self._explanations[term] = explanation

    def explain(self, term):
        if term not in self._explanations:
            raise UnknownTerm(term)
        return self._explanations[term]

    def noticed(self, term):
        pass


def serve_glossary(connection):
    """Return the channel, which then consumes."""
    channel = connection.channel()
    serve(channel, Glossary, "Glossary", GlossaryHandler())
    return channel


if __name__ == "__main__":
    url = sys.argv[1] if sys.argv[1:] else "amqp://localhost"
    opened = pika.BlockingConnection(pika.URLParameters(url))
    consuming = serve_glossary(opened)
    print("serving Glossary", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        consuming.start_consuming()
    opened.close()  # requests that are not acked go to another worker
