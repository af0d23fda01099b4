"""The error of a late SIGCHLD fails no test. All others that Python reports do."""

from __future__ import annotations

import signal
import sys
from types import SimpleNamespace

import pytest

from tests.conftest import is_late_signal

LATE = f"Signal {signal.SIGCHLD:d} ignored due to race condition"


@pytest.mark.parametrize(
    ("error", "is_late"),
    [
        (OSError(LATE), True),
        (OSError(f"Signal {signal.SIGTERM:d} ignored due to race condition"), False),
        (ValueError(LATE), False),
        (OSError("something else"), False),
        (None, False),
    ],
)
def test_knows_a_late_signal(error: BaseException | None, is_late: bool) -> None:
    """By its class and its text: Python gives it no class of its own."""
    assert is_late_signal(error) is is_late


def test_a_late_signal_fails_no_test() -> None:
    """This one."""
    late = SimpleNamespace(exc_type=OSError, exc_value=OSError(LATE), exc_traceback=None, err_msg=None, object=None)
    sys.unraisablehook(late)
