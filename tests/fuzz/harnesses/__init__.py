"""The harnesses by name."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from typing import Final

import attrs

NAMES: Final = (
    "frames",
    "tables",
    "properties",
    "request",
    "binary",
    "compact",
    "json_protocol",
    "idl_json",
    "uri",
    "command_line",
    "reply",
    "broker",
    "gateway",
    "signatures",
)

MOST_SECONDS: Final = 0.5
"""Seconds of CPU time for one input, at most. It is the promise for a message of any size; inputs have a few KB."""

LARGEST_INPUT: Final = 4096
"""Bytes of an input, at most."""


class TooSlow(Exception):
    """An input took more than :data:`MOST_SECONDS`."""


@attrs.frozen
class Harness:
    """A promise about any bytes.

    :ivar check: raises an error for bytes that break the promise.
    :ivar seeds: the first inputs, by name.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Mapping[str, bytes]

    @classmethod
    def of(cls, name: str) -> Harness:
        """Import a harness."""
        module = importlib.import_module(f"{__name__}.{name}")
        return cls(name, module.one, module.seeds())

    @property
    def promise(self) -> str:
        """The promise in words."""
        return (self.check.__doc__ or "").strip()

    def one(self, data: bytes) -> None:
        """Check the promise for one input.

        :raises TooSlow: it took too much CPU time.
        """
        began = time.process_time()
        self.check(data)
        took = time.process_time() - began
        if took > MOST_SECONDS:
            raise TooSlow(f"{len(data)} bytes took {took:.1f} s of CPU time; at most {MOST_SECONDS} s are promised")
