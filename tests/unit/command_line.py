"""Runs ``thrift-rpc`` in the test's process."""

from __future__ import annotations

import inspect
from typing import Any

from click.testing import CliRunner


def runner(**options: Any) -> CliRunner:
    """Return a runner whose results have standard output and standard error apart.

    click 8.1 mixes them unless it is told otherwise; click 8.2 has no such option.
    """
    if "mix_stderr" in inspect.signature(CliRunner).parameters:
        options["mix_stderr"] = False
    return CliRunner(**options)
