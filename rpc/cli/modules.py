"""Modules that a command line names: where they are searched, and what to say when there is none."""

from __future__ import annotations

import os
import sys


def search_current_directory() -> None:
    """Have Python search the current directory first."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def why_missing(name: str, error: BaseException) -> str | None:
    """Return where the module `name` was searched; ``None`` when it is there, and its import failed otherwise."""
    if not isinstance(error, ModuleNotFoundError) or not error.name or not f"{name}.".startswith(f"{error.name}."):
        return None
    return (
        f"there is no module {error.name!r} in {os.getcwd()} or on Python's path: run the command in the module's "
        "folder, or name this folder in PYTHONPATH"
    )
