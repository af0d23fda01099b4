"""Calls from plain programs and threads: ``with rpc.blocking.connect(url) as connection``."""

from rpc.blocking.client import with_reply
from rpc.blocking.connection import Connection, connect
from rpc.client.with_options import with_options

__all__ = ["Connection", "connect", "with_options", "with_reply"]
