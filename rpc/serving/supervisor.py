"""Keeps worker processes running, and replaces them one after the other."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall

from rpc import log
from rpc.exit_status import end_program
from rpc.serving.notifier import Notifier
from rpc.serving.slot import Launch, Slot
from rpc.worker.readiness import Readiness

LEAST_SILENCE = 5.0
"""Seconds at least that a worker process may be silent. It sends a keepalive each second."""


class Supervisor(Service):
    """Runs a number of worker processes, and ends with them.

    A process that ends is started again, after pauses of 0.3 to 16 seconds. When none of them can serve, because the
    broker refuses all of them or an option is wrong, the program ends with their exit status.
    """

    def __init__(
        self, reactor: Any, count: int, launch: Launch, notifier: Notifier, *, keep_trying: bool = False
    ) -> None:
        """
        :param launch: starts the process of a number, from 1 on.
        :param notifier: is told of restarts. A process that is silent for its watchdog time is killed.
        :param keep_trying: whether the program goes on when all processes are refused: their code is about to change.
        """
        self._reactor = reactor
        self._notifier = notifier
        self._keep_trying = keep_trying
        self._slots = [Slot(reactor, number, launch, self._refused) for number in range(1, count + 1)]
        self._restarting = False
        self._again = False  # another restart follows the present one
        self._pulse: LoopingCall | None = None

    @property
    def readiness(self) -> Readiness:
        """Of all processes together: that of the first that is not ready."""
        if not self.running:
            return Readiness.STOPPING
        others = [slot.readiness for slot in self._slots if slot.readiness is not Readiness.READY]
        return others[0] if others else Readiness.READY

    @property
    def metrics_ports(self) -> dict[int, int | None]:
        """The ports of the processes' metrics by their numbers; ``None``: the process cannot be asked."""
        return {number: slot.metrics_port for number, slot in enumerate(self._slots, 1)}

    def startService(self) -> None:
        """Start the processes."""
        super().startService()
        for slot in self._slots:
            slot.start()
        if self._notifier.watchdog is not None:
            silence = max(self._notifier.watchdog, LEAST_SILENCE)
            self._pulse = LoopingCall.withCount(lambda looks: self._look(looks, silence))
            self._pulse.clock = self._reactor
            self._pulse.start(silence / 2, now=False).addErrback(
                lambda failure: log.err(failure, "while looking for processes that hang")
            )

    def _look(self, looks: int, silence: float) -> None:
        """Kill silent processes, unless this process has missed a look: their messages may not be read yet."""
        if looks > 1:
            return
        since = self._reactor.seconds() - silence
        for slot in self._slots:
            slot.kill_silent(since)

    def _refused(self) -> bool:
        """A process has ended for a reason that the next one will have, too. Return whether the program ends."""
        statuses = [slot.refused for slot in self._slots]
        if self._keep_trying or not self.running or None in statuses:
            return False
        log.critical(
            f"no worker process can serve: the program ends with status {statuses[0]}; the lines above say why"
        )
        end_program(self._reactor, statuses[0] or 1)
        return True

    def restart(self) -> None:
        """Replace the processes one after the other: a new one serves before an old one finishes its calls.

        A new one that ends before it serves ends the restart, and the old ones go on. So does a restart that is asked
        for meanwhile; then another one follows.
        """
        if not self.running:
            return
        if self._restarting:
            self._again = True
            for slot in self._slots:
                slot.give_up_replacement()
            return
        self._restarting = True
        self._notifier.reloading()
        Deferred.fromCoroutine(self._restart()).addErrback(
            lambda failure: log.err(failure, "while replacing worker processes")
        )

    async def _restart(self) -> None:
        try:
            while True:
                self._again = False
                await self._restart_once()
                if not (self._again and self.running):
                    break
        finally:
            self._restarting = False
            if self.running:
                self._notifier.ready()

    async def _restart_once(self) -> None:
        for number, slot in enumerate(self._slots, 1):
            if not self.running or self._again:
                return
            if not await slot.replace():
                if self.running and not self._again:
                    log.warn(f"the restart ends at worker {number}: the new process does not serve; the old ones go on")
                return
        log.msg("all worker processes were replaced")

    def stopService(self) -> Deferred[Any]:
        """Stop all processes at once. Fires when they have ended."""
        super().stopService()
        if self._pulse is not None:
            self._pulse.stop()
            self._pulse = None
        return DeferredList([slot.stop() for slot in self._slots])

    def abort(self) -> None:
        """Stop all processes, without their calls."""
        for slot in self._slots:
            slot.abort()
