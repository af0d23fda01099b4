"""The folders that ``--reload`` watches."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rpc.errors import ConfigurationError
from rpc.serving.changes import Changes, folders_of


def test_watches_the_current_folder_and_packages_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported. A folder within another is not named again, nor is a module that does not exist."""
    current, elsewhere = tmp_path / "current", tmp_path / "elsewhere"
    for package in (current / "near_package", elsewhere / "far_package"):
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise ValueError\n")
    (elsewhere / "far_module.py").write_text("this is no Python\n")
    monkeypatch.chdir(current)
    monkeypatch.setattr(sys, "path", [str(current), str(elsewhere), *sys.path])
    services = ["near_package.services:a", "far_package.services:b", "nowhere.services:c", "sys:d", ":"]
    assert folders_of(services) == [os.getcwd(), str(elsewhere / "far_package")]
    assert folders_of(["far_module:service"]) == [os.getcwd(), str(elsewhere)]


def test_names_the_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigurationError, match=r"thrift-amqp-rpc\[reload\]"):
        Changes(None, ["."], lambda: None)
