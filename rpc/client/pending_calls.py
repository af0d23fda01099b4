"""The table of calls that are not settled. Taking a call out settles it, so it cannot be settled twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rpc.amqp.confirms import ConfirmLedger
from rpc.client.call import Call
from rpc.client.call_state import SETTLED
from rpc.deadlines import Deadlines
from rpc.interfaces import IClock


class PendingCalls:
    """The calls, and the timers they have.

    :ivar calls: by ``Call.id``. Only :meth:`settle` takes calls out.
    :ivar by_seqid: the calls whose reply may come without a correlation id.
    :ivar waiting: the calls that wait for a channel, in order.
    :ivar deadlines: the deadlines of all calls.
    :ivar timers: the pauses between attempts, and the times by which keepalives must come.
    :ivar ledger: publishes on the present channel whose confirm has not come, each with its call.
    """

    def __init__(
        self, clock: IClock, expired: Callable[[list[Call]], None], timer_fired: Callable[[list[Call]], None]
    ) -> None:
        """
        :param expired: called with calls at the time with which they were added to ``deadlines``.
        :param timer_fired: called with calls whose timer in ``timers`` has fired.
        """
        self.calls: dict[bytes, Call] = {}
        self.by_seqid: dict[int, Call] = {}
        self.waiting: dict[bytes, Call] = {}
        self.deadlines: Deadlines[Call] = Deadlines(clock, expired)
        self.timers: Deadlines[Call] = Deadlines(clock, timer_fired)
        self.ledger: ConfirmLedger[Call] = ConfirmLedger()

    def settle(self, call: Call, result: Any, error: Exception | None = None) -> None:
        """Take a call out of all tables, and fire its Deferred. Does nothing for a call that is settled."""
        if call.state is SETTLED:
            return
        call.state = SETTLED
        del self.calls[call.id]
        if self.by_seqid and self.by_seqid.get(call.seqid) is call:
            del self.by_seqid[call.seqid]
        self.deadlines.discard(call, call.tick)
        if call.timer:
            self.timers.discard(call, call.timer)
        if call.unconfirmed:
            self.ledger.forget(call.unconfirmed)
        if self.waiting:
            self.waiting.pop(call.id, None)
        if call.context is not None:
            call.context.leave()
        if call.operation.observer is not None:
            call.operation.observer.settled(call, error)
        if error is None:
            call.deferred.callback(result)
        else:
            call.deferred.errback(error)

    def take_waiting(self) -> list[Call]:
        """Take out the calls that wait for a channel, in order."""
        waiting = list(self.waiting.values())
        self.waiting.clear()
        return waiting

    def forget_confirms(self) -> None:
        """Begin a new ledger: a channel was opened, or lost."""
        self.ledger = ConfirmLedger()

    def stop_timer(self, call: Call) -> None:
        """Forget the pause or the keepalive timer of `call`."""
        if call.timer:
            self.timers.discard(call, call.timer)
            call.timer = 0

    def stop(self) -> None:
        """Forget all timers."""
        self.deadlines.stop()
        self.timers.stop()
