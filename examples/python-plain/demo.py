"""Serves Glossary in a thread, and calls it: ``python demo.py amqp://localhost``."""

import sys
import threading

import pika
from client import ask
from worker import serve_glossary


def main(url):
    """Each thread has a connection of its own: pika's connections belong to one thread."""
    of_worker, of_client = (pika.BlockingConnection(pika.URLParameters(url)) for _ in range(2))
    channel = serve_glossary(of_worker)
    thread = threading.Thread(target=channel.start_consuming)
    thread.start()
    ask(of_client)
    of_client.close()
    of_worker.add_callback_threadsafe(channel.stop_consuming)
    thread.join()
    of_worker.close()


main(sys.argv[1] if sys.argv[1:] else "amqp://localhost")
