"""Calls from asyncio: ``async with rpc.aio.connect(url) as connection``, in any running event loop."""

from rpc.aio.client import with_options, with_reply
from rpc.aio.connection import Connection, connect

__all__ = ["Connection", "connect", "with_options", "with_reply"]
