"""``scripts/audit``: known vulnerabilities of the dependencies, by pip-audit.

pip-audit also ends well when its source does not know a single package, or not this version of it: it has then looked
at nothing. So its report is read, and a package that was not looked up is named.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from tools.processes import PROJECT

FOLDER: Final = PROJECT / ".audit"
"""pip-audit and its dependencies, apart from those that are looked at."""

LONGEST_INSTALLATION: Final = 180.0
LONGEST_AUDIT: Final = 120.0
"""Seconds."""

SOUND, VULNERABLE, SKIPPED = 0, 1, 3
"""Exit statuses."""


@attrs.frozen
class Verdict:
    """The end of an audit.

    :ivar status: the exit status.
    :ivar text: one line, and one for each vulnerability.
    """

    status: int
    text: str


def judge(report: Mapping[str, Any]) -> Verdict:
    """Return the verdict about a report of ``pip-audit --format json``. Our own package is editable, and left out."""
    packages = [item for item in report["dependencies"] if "editable" not in item.get("skip_reason", "")]
    unknown = sorted(item["name"] for item in packages if "skip_reason" in item)
    found = [
        f"{item['name']} {item['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for item in packages
        for flaw in item.get("vulns", ())
    ]
    looked_up = len(packages) - len(unknown)
    if found:
        return Verdict(VULNERABLE, "\n".join([f"{len(found)} known vulnerabilities:", *found]))
    if not looked_up:
        return Verdict(SKIPPED, f"pip-audit: its source knows none of the {len(packages)} packages")
    rest = f"; not known to its source: {', '.join(unknown)}" if unknown else ""
    return Verdict(SOUND, f"no known vulnerability in {looked_up} packages{rest}")


def audit() -> Verdict:
    """Install pip-audit if it is missing, and run it on the packages of this environment."""
    packages = FOLDER / "packages"
    if not (packages / "pip_audit").is_dir():
        pip = ("pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(packages), "pip-audit>=2.7")
        installed = _run(pip, LONGEST_INSTALLATION)
        if installed is None or installed.returncode:
            return Verdict(SKIPPED, "pip-audit: it cannot be installed here")
    options = ("--format", "json", "--progress-spinner", "off", "--timeout", "10", "--skip-editable")
    ended = _run(("pip_audit", *options, "--path", sysconfig.get_path("purelib")), LONGEST_AUDIT, str(packages))
    if ended is None:
        return Verdict(SKIPPED, f"pip-audit: its source did not answer within {LONGEST_AUDIT:.0f} s")
    try:
        report = json.loads(ended.stdout)
    except ValueError:  # without its source it ends with a traceback
        last = (ended.stderr.strip().splitlines() or [f"status {ended.returncode}"])[-1]
        return Verdict(SKIPPED, f"pip-audit: {last[:200]}")
    return judge(report)


def _run(module: Sequence[str], timeout: float, path: str | None = None) -> subprocess.CompletedProcess[str] | None:
    """Run a module of Python; ``None`` when it did not end in time."""
    variables = os.environ if path is None else {**os.environ, "PYTHONPATH": path}
    command = (sys.executable, "-m", *module)
    try:
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return None


if __name__ == "__main__":
    verdict = audit()
    print(verdict.text)
    sys.exit(verdict.status)
