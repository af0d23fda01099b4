"""Names on the broker."""

from __future__ import annotations

from typing import Final

NAME: Final = "rpc.control"
"""The control service's name. Its requests have this routing key at the exchange ``rpc.broadcast``, or
``rpc.control@<instance>`` there or at the exchange ``rpc``.
"""
