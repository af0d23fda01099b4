"""Gives a Python process a wall clock that a test can set (see ``tests.wall_clock``).

Python imports this before everything else (Python's documentation, ``site``), so Twisted and the program take
``time.time`` from here. The offset is in a file that the test writes.
"""

import mmap
import os
import struct
import time

with open(os.environ["JUMPING_CLOCK"], "rb") as _file:
    _offset = mmap.mmap(_file.fileno(), 0, access=mmap.ACCESS_READ)

_real = time.time


def _time() -> float:
    (offset,) = struct.unpack("d", _offset)
    return _real() + float(offset)


time.time = _time
