# Made by `thrift-rpc compile`; it writes over what is changed here.
from typing import Final as _Final
from .ttypes import *

INT32CONSTANT: _Final[int]
"""The number the tutorial's clients print first."""

MAX_BLOB_BYTES: _Final[int]
"""The largest body, in bytes, that `blob` is expected to answer back."""

SYMBOLS: _Final[dict[str, str]]
"""How each operation is written down."""
