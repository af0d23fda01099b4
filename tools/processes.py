"""Processes that tools and tests start and watch. None of them outlives this process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, TypeAlias, TypeVar

PROJECT = Path(__file__).resolve().parents[1]

POLL = 0.02
START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0
LAST_LINES = 12

Self = TypeVar("Self", bound="Process")
Found = TypeVar("Found")
Stream: TypeAlias = "int | IO[bytes]"

_CPU_CLOCK = 2
"""With a process id, the clock of its processor time in nanoseconds (clock_getcpuclockid(3), CPUCLOCK_SCHED in Linux);
/proc counts in ticks of 10 ms."""

_PAGE = os.sysconf("SC_PAGE_SIZE")

# The parent-death signal is sent when the *thread* that started the child ends (prctl(2), PR_SET_PDEATHSIG). This
# thread ends with the process; a thread of the reactor's pool may end earlier.
_launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="launcher")


class ProcessFailed(Exception):
    """A process ended, or was late; the message has the end of its output."""


def launch(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdout: Stream,
    stderr: Stream = subprocess.STDOUT,
    stdin: Stream = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, where a Ctrl-C in the terminal does not reach it.

    The kernel kills the program when this process ends, however it ends (where util-linux' ``setpriv`` is installed).
    """
    setpriv = shutil.which("setpriv")
    dies_with_parent = (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*dies_with_parent, *command],
            bufsize=0,
            cwd=folder,
            env=dict(environment),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    return _launcher.submit(start).result()


def twistd(*arguments: str) -> list[str]:
    """The command of ``twistd`` in the foreground, without a pid file, in this interpreter's environment."""
    return [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", *arguments]


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used: of all its threads, in user mode and in the kernel."""
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def descriptors(pid: int) -> int:
    """The number of files and sockets that a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


class Process:
    """A running program. As a context manager it is ended on exit.

    Its output goes to an unnamed file, so the program never blocks on a full pipe and no file is left.

    :param name: for error messages.
    :param environment: variables added to those of this process, unless `clean`.
    :param clean: pass `environment` alone.
    :param takes_input: open a pipe to its standard input; see :attr:`stdin`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path = PROJECT,
        environment: Mapping[str, str] | None = None,
        clean: bool = False,
        takes_input: bool = False,
    ) -> None:
        self.name = name
        self._read = 0
        self._output = _unnamed_file()
        self._close_output = weakref.finalize(self, os.close, self._output)
        self._process = launch(
            command,
            folder=folder,
            environment={**({} if clean else os.environ), **(environment or {})},
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            stdout=self._output,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def stdin(self) -> IO[bytes]:
        """The pipe to its standard input, unbuffered."""
        assert self._process.stdin is not None, f"{self.name} takes no input"
        return self._process.stdin

    def output(self) -> str:
        """All that it has written to its standard output and error, in the order of the writes."""
        return self._bytes().decode(errors="replace")

    def output_tail(self, lines: int = LAST_LINES) -> str:
        """The last lines of its output."""
        return "\n".join(self.output().strip().splitlines()[-lines:])

    def wait_for(self, *texts: str, times: int = 1, timeout: float = START_TIMEOUT) -> None:
        """Block until its output has each of `texts`, so many times.

        :raises ProcessFailed: it ended before, or `timeout` seconds have passed.
        """

        def found() -> bool | None:
            output = self.output()
            return all(output.count(text) >= times for text in texts) or None

        self.wait_until(found, f"did not print {', '.join(map(repr, texts))}", timeout)

    def wait_for_line(self, text: str, timeout: float = START_TIMEOUT) -> str:
        """Block until a further line holds `text`, and return it. Each call goes on after the line of the last one.

        :raises ProcessFailed: it ended before, or `timeout` seconds have passed.
        """

        def found() -> str | None:
            for line in self._bytes()[self._read :].splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                if text.encode() in line:
                    return line.decode(errors="replace")
            return None

        return self.wait_until(found, f"did not print {text!r}", timeout)

    def wait_until(self, look: Callable[[], Found | None], late: str, timeout: float) -> Found:
        """Block until `look` returns something, and return it.

        :param late: the error's text when it takes longer: ``"did not answer"``.
        :raises ProcessFailed: the process ended before, or `timeout` seconds have passed.
        """
        deadline = time.monotonic() + timeout
        while True:
            running = self.running  # asked first: output of a process that has just ended is looked at once more
            found = look()
            if found is not None:
                return found
            if not running:
                raise ProcessFailed(f"{self.name} ended with status {self._process.poll()}\n{self.output_tail()}")
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} {late} within {timeout:.0f} s\n{self.output_tail()}")
            time.sleep(POLL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """Block until it has ended; return its exit status, negative for a signal.

        :raises ProcessFailed: `timeout` seconds have passed.
        """
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise ProcessFailed(f"{self.name} did not end within {timeout:.0f} s\n{self.output_tail()}") from error

    def kill(self) -> None:
        """End it by SIGKILL. Harmless when it has ended."""
        self._process.kill()
        self._process.wait()
        self._close_input()

    def end(self) -> None:
        """End it by SIGTERM; by SIGKILL when it does not end in time. Harmless when it has ended."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close_input()

    def close(self) -> None:
        """End it by SIGKILL, and give up its output."""
        self.kill()
        self._close_output()

    def _bytes(self) -> bytes:
        # The program shares the file's position: pread() leaves it alone.
        return os.pread(self._output, os.fstat(self._output).st_size, 0)

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()


def _unnamed_file() -> int:
    """A descriptor of a file that the file system forgets when it is closed."""
    descriptor, path = tempfile.mkstemp(prefix="process-")
    os.unlink(path)
    return descriptor
