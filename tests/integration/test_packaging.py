"""The installed project, outside this folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

PROJECT = Path(__file__).parents[2]

PACKAGE_FACTS = """
import rpc, twisted
from importlib import resources
from rpc.amqp.codec.spec import load_spec
print(rpc.__file__)
print(twisted.__file__)
print(resources.files("rpc").joinpath("py.typed").is_file())
print(len(load_spec().classes) > 5)
from rpc.dashboard.pages import guarded
from rpc.dashboard.access import Access
print(guarded(Access(None), None, None) is not None)
"""

TWISTD = "from twisted.scripts.twistd import run; run()"

PIP = (sys.executable, "-m", "pip")
OFFLINE = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")


def run(*command: str | Path, cwd: Path) -> str:
    """Return the command's output. A command that fails is a failure of the test."""
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    if ended.returncode:
        raise AssertionError(f"{command} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def new_environment(folder: Path) -> Path:
    """A virtual environment that has the dependencies of this one, but not the project."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    (packages,) = folder.glob("lib/python3*/site-packages")
    # Path files in that folder are not followed, so its own editable install of the project stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def install(environment: Path, *what: str | Path, cwd: Path) -> None:
    """Install in an environment, without the package index."""
    run(*PIP, "--python", environment / "bin/python", "install", *OFFLINE, *what, cwd=cwd)


def build_wheel(folder: Path) -> Path:
    """Build the project's wheel in a folder, where a copy of the project is left as ``source``; return its path."""
    source = folder / "source"
    source.mkdir(parents=True)
    # A copy, so that the build leaves nothing in the project.
    for name in ("rpc", "services", "tests", "twisted"):
        shutil.copytree(PROJECT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    for name in ("setup.cfg", "pyproject.toml", "LICENSE", "NOTICE", "README.md"):
        shutil.copy(PROJECT / name, source)
    run(*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


class InstalledTests(SynchronousTestCase):
    """A wheel of the project, installed in an environment that has nothing but its dependencies.

    The dependencies are those of the environment that runs the tests, so that nothing is fetched.
    """

    folder: ClassVar[Path]
    wheel: ClassVar[Path]
    environment: ClassVar[Path]

    def setUp(self) -> None:
        """Build and install once for all tests."""
        if hasattr(InstalledTests, "folder"):
            return
        folder = Path(self.mktemp())
        wheel = build_wheel(folder)
        environment = new_environment(folder / "environment")
        install(environment, wheel, cwd=folder)
        InstalledTests.wheel, InstalledTests.environment, InstalledTests.folder = wheel, environment, folder

    def test_an_editable_install_has_the_commands(self) -> None:
        """``pip install -e`` without further options gives ``twistd rpc-worker``, and the code of the folder."""
        environment = new_environment(self.folder / "editable")
        install(environment, "--no-build-isolation", "--editable", self.folder / "source", cwd=self.folder)
        python = environment / "bin/python"
        module, _ = run(python, "-W", "ignore", "-c", PACKAGE_FACTS, cwd=self.folder).splitlines()[:2]
        self.assertEqual(Path(module), self.folder.resolve() / "source/rpc/__init__.py")
        for command in ("rpc-worker", "rpc-broker", "rpc-gateway"):
            self.assertIn(command, run(python, "-c", TWISTD, "--help", cwd=self.folder))

    def test_the_wheel_ships_the_framework_and_the_plugins(self) -> None:
        """Nothing but rpc, the twistd plugins and the metadata is in the wheel; no package that shadows Twisted."""
        names = zipfile.ZipFile(self.wheel).namelist()
        foreign = [name for name in names if not name.startswith(("rpc/", "thrift_amqp_rpc-"))]
        plugins = [f"twisted/plugins/rpc_{name}_plugin.py" for name in ("broker", "gateway", "worker")]
        self.assertEqual(sorted(foreign), plugins)
        self.assertIn("rpc/py.typed", names)
        control = ("idl/control.thrift", "stubs/idl.json", "stubs/control/Control.pyi", "stubs/control/ttypes.py")
        self.assertLessEqual({f"rpc/control/{name}" for name in control}, set(names))
        for name in ("rpc/dashboard/static/uplot/LICENSE", "NOTICE"):
            self.assertTrue([each for each in names if each.endswith(name)], name)

    def test_the_package_is_whole(self) -> None:
        """Types marker, specification and the files of the dashboard are found, and Twisted is still Twisted."""
        output = run(self.environment / "bin/python", "-W", "ignore", "-c", PACKAGE_FACTS, cwd=self.folder)
        ours, twisteds, typed, specification, dashboard = output.splitlines()
        self.assertTrue(ours.startswith(str(self.environment)), ours)
        self.assertFalse(twisteds.startswith(str(self.environment)), twisteds)
        self.assertEqual((typed, specification, dashboard), ("True", "True", "True"))

    def test_the_commands_are_there(self) -> None:
        """``thrift-rpc --help`` names its verbs, and ``twistd`` knows its three plugins."""
        self.assertIn("compile", run(self.environment / "bin/thrift-rpc", "--help", cwd=self.folder))
        python = self.environment / "bin/python"
        twistd = (python, "-c", TWISTD)
        for command, option in (("rpc-worker", "--broker"), ("rpc-broker", "--state"), ("rpc-gateway", "--http")):
            self.assertIn(command, run(*twistd, "--help", cwd=self.folder))
            self.assertIn(option, run(*twistd, command, "--help", cwd=self.folder))
