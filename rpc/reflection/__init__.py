"""Stubs that are made at run time from an ``idl.json``, for services whose stubs are not compiled.

They have the shape of compiled ones, so client, worker, codecs and command line need not know the difference. The
description may come from a peer: it is checked before anything is made of it, and nothing of it is imported or
executed.
"""

from rpc.reflection.reflection import Reflection

__all__ = ["Reflection"]
