"""The ready file and the pid file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rpc.errors import ConfigurationError
from rpc.serving.marker_file import MarkerFile
from tests.unit.logs import logged


def test_exists_while_it_is_so(tmp_path: Path) -> None:
    """It has the process id. No other file is left."""
    marker = MarkerFile("--ready-file", str(tmp_path / "ready"))
    assert os.listdir(tmp_path) == []
    marker.set(True)
    assert os.listdir(tmp_path) == ["ready"]
    assert (tmp_path / "ready").read_text() == f"{os.getpid()}\n"
    marker.set(False)
    assert os.listdir(tmp_path) == []


def test_replaces_what_a_killed_process_has_left(tmp_path: Path) -> None:
    """Also a link, which is not followed."""
    (tmp_path / "other").write_text("keep")
    (tmp_path / "ready").symlink_to(tmp_path / "other")
    marker = MarkerFile("--ready-file", str(tmp_path / "ready"))
    assert os.listdir(tmp_path) == ["other"]
    marker.set(True)
    assert not (tmp_path / "ready").is_symlink()
    assert (tmp_path / "other").read_text() == "keep"


@pytest.mark.parametrize("path", ["missing/ready", ".", "ready\0"])
def test_refuses_a_place_where_it_cannot_be(tmp_path: Path, path: str) -> None:
    """The error names the option and the path. No file is left."""
    with pytest.raises(ConfigurationError, match=r"^--ready-file=.*: no file can be written here: "):
        MarkerFile("--ready-file", f"{tmp_path}/{path}")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_disappears_ends_nothing(tmp_path: Path) -> None:
    """The log says so once, and the file is written when that is possible again."""
    folder = tmp_path / "folder"
    folder.mkdir()
    marker = MarkerFile("--ready-file", str(folder / "ready"))
    folder.rmdir()
    with logged() as lines:
        for _ in range(3):
            marker.set(True)
    assert len(lines) == 1
    assert "ready: cannot be written: No such file or directory" in lines[0]
    folder.mkdir()
    marker.set(True)
    assert os.listdir(folder) == ["ready"]
    shutil.rmtree(folder)
    marker.set(False)  # it is gone, as it should be
    folder.mkdir()
    marker.set(True)
    assert os.listdir(folder) == ["ready"]
