"""A worker, or a supervisor of workers, with the parts that report its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred

from rpc import log
from rpc.exit_status import end_program
from rpc.serving.marker_file import MarkerFile
from rpc.serving.pages import PageServer
from rpc.serving.watch import Watch

WRONG: Final = 2
"""Exit status: an option is wrong, such as a port in use."""


class ObservedService(Service):
    """Runs `main`. The pages answer until it has stopped, also while it finishes its calls."""

    def __init__(
        self,
        reactor: Any,
        main: Any,
        watch: Watch,
        servers: Sequence[PageServer] = (),
        pid_file: MarkerFile | None = None,
    ) -> None:
        self._reactor = reactor
        self._main = main
        self._watch = watch
        self._servers = servers
        self._pid_file = pid_file
        self._problem: str | None = None

    def privilegedStartService(self) -> None:
        """Listen, before twistd gives up its rights. The program ends with status 2 when this is not possible."""
        self._problem = None
        for server in self._servers:
            self._problem = server.listen()
            if self._problem is not None:
                log.critical(self._problem)
                end_program(self._reactor, WRONG)
                return

    def startService(self) -> None:
        """Start, unless the program ends anyway."""
        if self._problem is not None:
            return
        super().startService()
        if self._pid_file is not None:
            self._pid_file.set(True)
        self._main.startService()
        self._watch.start()

    def stopService(self) -> Deferred[None]:
        """Report the stop, then stop. Fires when everything is closed."""
        if not self.running:
            return self._close_servers()
        super().stopService()
        self._watch.stop()
        return maybeDeferred(self._main.stopService).addBoth(self._close)

    def _close(self, result: Any) -> Deferred[None]:
        if self._pid_file is not None:
            self._pid_file.set(False)
        return self._close_servers().addCallback(lambda _: result)

    def _close_servers(self) -> Deferred[None]:
        return DeferredList([server.close() for server in self._servers]).addCallback(lambda _: None)
