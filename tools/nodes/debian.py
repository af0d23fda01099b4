"""RabbitMQ of another Debian release, in a folder: the same tests run on a second version of the broker.

``debootstrap`` makes the folder once, in the user's cache. Beside it stand commands (``rabbitmq-server``,
``rabbitmqctl``, …) that enter the folder by ``chroot`` and find this machine's ``/tmp`` in it. A node that is started
with them first on the PATH is the folder's. Both steps need root.

``python -m tools.nodes.debian SUITE`` prints the folder of the commands. Its exit status is 3 when root or
``debootstrap`` is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = ("rabbitmq-server", "ca-certificates", "procps")

PYTHON = ("python3-venv", "python3-dev", "gcc", "libc6-dev", "thrift-compiler")
"""For the suites whose Python is used as well. Thrift's package for Python has a C extension, built when installed."""

FURTHER_PACKAGES = {"sid": PYTHON}

COMMANDS = {
    **{name: f"/usr/lib/rabbitmq/bin/{name}" for name in ("rabbitmq-server", "rabbitmqctl", "rabbitmq-env")},
    "epmd": "/usr/bin/epmd",
}
"""The commands, and the programs in the folder that they run."""

ENTER = """#!/bin/sh
# Runs a program of the folder. The mounts are seen by this process and its children alone, and end with them.
export PATH=/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec /usr/bin/unshare --mount /bin/sh -c '
root=$1
shift
mount --bind /tmp "$root/tmp" && mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
    exec /usr/sbin/chroot "$root" "$@"
' sh {root} {program} "$@"
"""


WORK = "work-in"

ENTER_WITH_PROJECT = """#!/bin/sh
# work-in PROJECT PROGRAM [ARGUMENT...]: runs a program of the folder in a project of this machine. The settings of the
# network are this machine's.
exec /usr/bin/unshare --mount /bin/sh -ec '
root=$1 project=$2
shift 2
mount --bind /tmp "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for settings in /etc/resolv.conf /etc/hosts /etc/ssl; do
    [ ! -e "$settings" ] || [ ! -e "$root$settings" ] || mount --bind "$settings" "$root$settings"
done
mkdir -p "$root$project"
mount --bind "$project" "$root$project"
exec /usr/sbin/chroot "$root" /usr/bin/env --chdir="$project" "$@"
' sh {root} "$@"
"""

NOT_POSSIBLE = 3
"""The exit status when this machine lacks a requirement. Another failure is an error."""


class NotPossible(Exception):
    """This machine lacks a requirement; the message says which."""


class Failed(Exception):
    """``debootstrap`` has failed; the message has its last line."""


def cache() -> Path:
    """Return the folder that is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "thrift-amqp-rpc"


def commands(suite: str) -> Path:
    """Return the folder of the commands for `suite`, such as ``trixie``. The first call takes one or two minutes.

    Beside RabbitMQ's commands it has :data:`WORK`.

    :raises NotPossible: root or ``debootstrap`` is missing.
    :raises Failed: ``debootstrap`` has failed.
    """
    if os.geteuid():
        raise NotPossible("it needs root, for debootstrap and chroot")
    if shutil.which("debootstrap") is None:
        raise NotPossible("it needs debootstrap: apt-get install debootstrap")
    root = cache() / f"debian-{suite}"
    if not root.exists():
        _make(suite, root)
    folder = cache() / f"debian-{suite}.commands"
    folder.mkdir(exist_ok=True)
    texts = {name: ENTER.format(root=root, program=program) for name, program in COMMANDS.items()}
    for name, text in {**texts, WORK: ENTER_WITH_PROJECT.format(root=root)}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def _make(suite: str, root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    beginning = Path(tempfile.mkdtemp(prefix=f"debian-{suite}.", dir=root.parent))
    beginning.chmod(0o755)
    wanted = f"--include={','.join((*PACKAGES, *FURTHER_PACKAGES.get(suite, ())))}"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", wanted, suite, str(beginning)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if made.returncode:
        shutil.rmtree(beginning, ignore_errors=True)
        last = made.stdout.strip().rpartition("\n")[2]
        raise Failed(f"debootstrap {suite} has failed: {last}")
    beginning.rename(root)


if __name__ == "__main__":
    (wanted_suite,) = sys.argv[1:]
    try:
        print(commands(wanted_suite))
    except NotPossible as error:
        print(error, file=sys.stderr)
        sys.exit(NOT_POSSIBLE)
    except Failed as error:
        sys.exit(str(error))
