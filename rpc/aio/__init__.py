"""Calls from asyncio: ``async with rpc.aio.connect(url) as connection``, in any running event loop."""

from rpc.aio.client import with_reply
from rpc.aio.connection import Connection, connect
from rpc.client.with_options import with_options

__all__ = ["Connection", "connect", "with_options", "with_reply"]
