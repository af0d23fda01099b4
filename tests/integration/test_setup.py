"""``scripts/setup`` and the scripts that call it: the packages of each level, installed once.

The environment is there already, and its Python only records the packages to install: nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PROJECT = Path(__file__).parents[2]

TOOLS = [".[dev]", ".[fuzz]"]
"""What pip installs without --run."""

PYTHON = """#!/bin/sh
case "$*" in
    *editable*) for last; do :; done; echo "$last" >>installed ;;
    *tools.demo.demo*) echo "$*" >>shown ;;
esac
"""

PYTHON3 = """#!/bin/sh
case "$1 $2" in
    "-c import sys"*) exit 0 ;;
    "-c import "*) case " MODULES " in *" ${2#import } "*) exit 0 ;; *) exit 1 ;; esac ;;
    "-m venv" | "-m virtualenv") mkdir -p .venv/bin && cp made-python .venv/bin/python ;;
esac
shift
echo "$*" >>made
"""


class SetupTests(SynchronousTestCase):
    """A clone's scripts, in a folder with stand-ins for the programs that they call."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        for name in ("scripts/setup", "scripts/demo", "setup.cfg", "pyproject.toml"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, self.folder / name)
        self.program(".venv/bin/python", PYTHON)
        # The programs that come from Debian, lest the test install them.
        for name in ("rabbitmq-server", "thrift", "npm", "debootstrap", "chromium"):
            self.program(f"bin/{name}", "#!/bin/sh\n")

    def program(self, name: str, text: str) -> None:
        """Write a program."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run_script(self, *command: str) -> list[str]:
        """Run a script; return the packages that pip was to install: the project with its extras."""
        installed = self.folder / "installed"
        installed.unlink(missing_ok=True)
        self.ended(*command).check_returncode()
        return installed.read_text().splitlines() if installed.exists() else []

    def ended(self, *command: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a script to its end.

        :param path: where programs are looked for; default: in ``bin``, then as usual.
        """
        path = path or f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command, cwd=self.folder, env={"PATH": path}, capture_output=True, text=True, timeout=120, check=False
        )

    def test_run_installs_the_project_without_its_tools(self) -> None:
        """--run installs the project without its tools, once."""
        self.assertEqual(self.run_script("scripts/setup", "--run"), ["."])
        self.assertEqual(self.run_script("scripts/setup", "--run"), [])

    def test_installs_the_tools_once(self) -> None:
        """Without it the tools come as well, also later; with them, --run installs nothing."""
        self.assertEqual(self.run_script("scripts/setup", "--run"), ["."])
        self.assertEqual(self.run_script("scripts/setup"), TOOLS)
        self.assertEqual(self.run_script("scripts/setup"), [])
        self.assertEqual(self.run_script("scripts/setup", "--run"), [])

    def test_quick_needs_neither_rabbitmq_nor_npm(self) -> None:
        """--quick installs the tools of Python, which is all that the other levels need of it."""
        (self.folder / "bin/rabbitmq-server").unlink()
        (self.folder / "bin/npm").unlink()
        self.assertEqual(self.run_script("scripts/setup", "--quick"), TOOLS)
        self.assertEqual(self.run_script("scripts/setup", "--quick"), [])
        self.assertEqual(self.run_script("scripts/setup", "--run"), [])

    def test_installs_again_when_the_requirements_changed(self) -> None:
        """When the project's requirements have changed, they are installed, as many as are asked for."""
        self.run_script("scripts/setup")
        with (self.folder / "setup.cfg").open("a") as settings:
            settings.write("# changed\n")
        self.assertEqual(self.run_script("scripts/setup", "--run"), ["."])
        self.assertEqual(self.run_script("scripts/setup"), TOOLS)

    def test_works_without_the_fuzzer(self) -> None:
        """Which has no wheels for some Pythons and machines. It says so in one line, and does not try again."""
        self.program(".venv/bin/python", '#!/bin/sh\ncase "$*" in *"[fuzz]"*) exit 1 ;; esac\n')
        ended = self.ended("scripts/setup", "--quick")
        self.assertEqual(ended.returncode, 0)
        self.assertIn("setup: the fuzzer atheris cannot be installed here", ended.stderr.splitlines()[-1])
        self.assertEqual(self.run_script("scripts/setup", "--quick"), [])

    def test_works_without_the_browser(self) -> None:
        """Which is no package of some systems. It says so in one line."""
        (self.folder / "bin/chromium").unlink()
        self.program("bin/apt-get", "#!/bin/sh\nexit 1\n")
        for name in ("bash", "sh", "env", "dirname", "cat", "sha256sum", "cut", "grep", "id", "rm", "chmod"):
            (self.folder / "bin" / name).symlink_to(shutil.which(name) or "")
        ended = self.ended("scripts/setup", path=str(self.folder / "bin"))
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn("setup: without Chromium, the tests of the dashboard's page are skipped", ended.stderr)
        self.assertEqual((self.folder / "installed").read_text().splitlines(), TOOLS)

    def test_repeats_an_installation_that_was_interrupted(self) -> None:
        """The stamp is written last."""
        self.program(".venv/bin/python", '#!/bin/sh\ncase "$*" in *editable*) exit 1 ;; esac\n')
        self.assertRaises(subprocess.CalledProcessError, self.run_script, "scripts/setup", "--run")
        self.program(".venv/bin/python", PYTHON)
        self.assertEqual(self.run_script("scripts/setup", "--run"), ["."])

    def python3(self, modules: str) -> None:
        """Put a python3 first on the path that has only some of the modules; it notes the modules that are run."""
        self.program("bin/python3", PYTHON3.replace("MODULES", modules))
        shutil.move(self.folder / ".venv/bin/python", self.folder / "made-python")

    def made_with(self) -> list[str]:
        """Install the project; return how the environment was made."""
        self.assertEqual(self.run_script("scripts/setup", "--run"), ["."])
        return (self.folder / "made").read_text().splitlines()

    def test_makes_the_environment_with_venv(self) -> None:
        """Where Python has it whole."""
        self.python3("ensurepip virtualenv pip")
        self.assertEqual(self.made_with(), ["venv --clear .venv"])

    def test_makes_the_environment_with_virtualenv_where_there_is_no_ensurepip(self) -> None:
        """Debian without python3-venv; no root is needed."""
        self.python3("virtualenv pip")
        self.assertEqual(self.made_with(), ["virtualenv --quiet --clear .venv"])

    def test_fetches_virtualenv_where_there_is_none(self) -> None:
        """With the system's pip, into a folder that is removed."""
        self.python3("pip")
        fetched, made = self.made_with()
        self.assertRegex(fetched, "^pip install .*--target .* virtualenv$")
        self.assertEqual(made, "virtualenv --quiet --clear .venv")
        self.assertFalse(Path(fetched.split()[-2]).exists())

    def test_says_in_one_line_what_root_has_to_install(self) -> None:
        """There is neither pip nor virtualenv, and no root."""
        self.python3("")
        self.program("bin/id", "#!/bin/sh\necho 1000\n")
        self.program("bin/sudo", "#!/bin/sh\nexit 1\n")
        ended = self.ended("scripts/setup", "--run")
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(ended.stderr, "setup: please install as root: apt-get install python3-venv\n")

    def test_the_demo_needs_the_tools_only_for_rabbitmq(self) -> None:
        """Its options are passed on."""
        self.assertEqual(self.run_script("scripts/demo", "--calls", "1000"), ["."])
        self.assertEqual(self.run_script("scripts/demo", "--calls", "1000", "--rabbitmq"), TOOLS)
        shown = (self.folder / "shown").read_text()
        self.assertEqual(shown, "-m tools.demo.demo --calls 1000\n-m tools.demo.demo --calls 1000 --rabbitmq\n")
