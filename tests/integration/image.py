"""Follows a Dockerfile without Docker: for root, with mount namespaces and chroot.

An image is a folder with the files of the instructions. The system of this machine stands in for the base image:
its programs and this Python are mounted into the folder, where they are read only for a user that is not root.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration.operations import Instruction, dockerfile

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev")
DEPENDENCIES = "/dependencies"
"""Where an image has the packages of the environment that runs the tests, so that nothing is fetched."""

OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}
"""Environment of ``RUN``: there is no package index."""

BASE_PATH = f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin"


class Image:
    """A stage of a Dockerfile.

    :ivar root: the folder.
    :ivar variables: of ``ENV``.
    :ivar user: of ``USER``: ``<uid>:<gid>``.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True)
        self.root = root
        self.variables = {"PATH": BASE_PATH, "HOME": "/"}
        self.user = "0:0"
        self._folder = "/"
        self._settings: dict[str, str] = {}

    def follow(self, instruction: Instruction, context: Path, stages: Mapping[str, Image]) -> None:
        """Carry out an instruction.

        :param context: the folder of the build.
        :param stages: the stages before this one, by their names.
        """
        name, text = instruction.name, instruction.text
        if name == "RUN":
            done = subprocess.run(
                self.command(["sh", "-c", text], variables=OFFLINE, writable=True),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            if done.returncode or "WARNING" in done.stderr:
                raise AssertionError(f"RUN {text} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        elif name == "COPY":
            self._copy(instruction.words, context, stages)
        elif name == "ENV":
            for variable, value in (word.split("=", 1) for word in instruction.words):
                self.variables[variable] = value.replace("$PATH", self.variables["PATH"])
        elif name == "WORKDIR":
            self._folder = text
            self.path(text).mkdir(parents=True, exist_ok=True)
        elif name == "USER":
            self.user = text
        elif name in ("EXPOSE", "HEALTHCHECK", "CMD"):
            self._settings[name] = text
        else:
            raise AssertionError(f"unknown instruction: {name} {text}")

    @property
    def start_command(self) -> list[str]:
        """The words of ``CMD``."""
        return [str(word) for word in json.loads(self._settings["CMD"])]

    @property
    def health_command(self) -> list[str]:
        """The words of ``HEALTHCHECK``."""
        return [str(word) for word in json.loads(self._settings["HEALTHCHECK"].partition("CMD ")[2])]

    def path(self, path: str) -> Path:
        """Return where a path of the image is here."""
        return self.root / os.path.join(self._folder, path).lstrip("/")

    def command(
        self,
        words: Sequence[str],
        *,
        variables: Mapping[str, str] | None = None,
        mounts: Mapping[Path, str] | None = None,
        writable: bool = False,
        container: bool = False,
    ) -> list[str]:
        """Return a command that runs one in the image.

        :param variables: further ones than those of the image.
        :param mounts: further folders of this machine, with their paths in the image.
        :param writable: whether the root file system is.
        :param container: as process 1 of a PID namespace, which ends with it.
        """
        root = shlex.quote(str(self.root))
        folders = {Path(name): name for name in (*SYSTEM, sys.base_prefix) if Path(name).exists()}
        folders |= {Path(sysconfig.get_path("purelib")): DEPENDENCIES, **(mounts or {})}
        lines = [
            "set -e",
            f"mount --bind {root} {root}",
            f"cd {root}",
            *(
                f"mkdir -p .{shlex.quote(inside)} && mount --rbind {shlex.quote(str(outside))} .{shlex.quote(inside)}"
                for outside, inside in folders.items()
            ),
            "mkdir -p proc tmp",
            "mount -t proc proc proc" if container else "mount --rbind /proc proc",
            *(["mount -t tmpfs -o mode=1777 tmpfs tmp"] if writable else []),
            *([] if writable else [f"mount -o remount,bind,ro {root}"]),
        ]
        environment = [f"{name}={value}" for name, value in {**self.variables, **(variables or {})}.items()]
        inside = ["sh", "-c", f"cd {shlex.quote(self._folder)} && exec {shlex.join(words)}"]
        started = ["chroot", f"--userspec={self.user}", str(self.root), "/usr/bin/env", "-i", *environment, *inside]
        namespaces = ["--pid", "--fork", "--kill-child"] if container else []
        return ["unshare", "--mount", *namespaces, "sh", "-c", "\n".join([*lines, f"exec {shlex.join(started)}"])]

    def _copy(self, words: list[str], context: Path, stages: Mapping[str, Image]) -> None:
        if words[0].startswith("--from="):
            source = stages[words[0].partition("=")[2]].path(words[1])
        else:
            source = context / words[0]
        shutil.copytree(source, self.path(words[-1]), symlinks=True)


def build(path: Path, context: Path, folder: Path) -> Image:
    """Follow a Dockerfile; return its last stage.

    :param folder: for the images.
    """
    stages: dict[str, Image] = {}
    for instruction in dockerfile(path):
        if instruction.name == "FROM":
            named = re.search(r" AS (\w+)$", instruction.text)
            image = stages[named[1] if named else ""] = Image(folder / f"stage-{len(stages)}")
        else:
            image.follow(instruction, context, stages)
    (packages,) = image.root.glob("venv/lib/python3*/site-packages")
    (packages / "dependencies.pth").write_text(f"{DEPENDENCIES}\n")
    return image
