"""Calls the service Glossary: ``python client.py amqp://localhost``."""

import sys

import pika
from caller import Caller
from glossary_example import Glossary
from glossary_example.ttypes import UnknownTerm


def ask(connection):
    """Call in each protocol, and print the answers."""
    caller = Caller(connection)
    for protocol in ("binary", "compact", "json"):

        def call(method, *arguments, protocol=protocol):
            return caller.call(Glossary, "Glossary", method, *arguments, protocol=protocol, timeout=5.0)

        call("define", "AMQP", "Advanced Message Queuing Protocol")
        call("noticed", "AMQP")
        print(f"{protocol}: {call('explain', 'AMQP')}")
        try:
            call("explain", "SOAP")
        except UnknownTerm as error:
            print(f"{protocol}: no definition of {error.term}")


if __name__ == "__main__":
    url = sys.argv[1] if sys.argv[1:] else "amqp://localhost"
    opened = pika.BlockingConnection(pika.URLParameters(url))
    ask(opened)
    opened.close()
