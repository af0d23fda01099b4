"""The version of this package, from its metadata: ``setup.cfg`` is its only source."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

DISTRIBUTION: Final = "thrift-amqp-rpc"


def _installed_version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


__version__: Final = _installed_version()
