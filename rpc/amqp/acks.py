"""Acknowledgements gathered over a pass of reading, or over a reactor turn.

A request is acked after its reply was written. Requests settle in any order. The tags of one pass are sent as one ack
with `multiple`, up to the highest tag below which all are settled, and as one ack for each tag above it. A long call
delays no other request's ack, and no ack covers a pending delivery.
"""

from __future__ import annotations

from rpc.amqp.channel import Channel
from rpc.amqp.tags import TagRuns


class AckCollector:
    """Acks of the deliveries of one channel.

    Every delivery of the channel must be settled here, so the channel must have no ``no_ack`` consumer: its deliveries
    take tags as well. Memory is by the unacked deliveries, not by the settled ones behind them.
    """

    __slots__ = ("_channel", "_lowest", "_rejected", "_scheduled", "_settled", "_told")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lowest = 1  # the lowest unacked tag
        self._settled: set[int] = set()  # to be acked at the end of this pass
        self._rejected: set[int] = set()  # rejected in this pass
        self._told = TagRuns()  # acked one by one or rejected, above the lowest unacked tag
        self._scheduled = False

    @property
    def kept(self) -> int:
        """How many entries are in memory: tags of this pass, and runs of tags settled behind an unacked one."""
        return len(self._settled) + len(self._rejected) + len(self._told)

    def ack(self, delivery_tag: int) -> None:
        """Ack `delivery_tag` at the end of the pass of reading, in the next reactor turn, or in :meth:`flush`."""
        self._settled.add(delivery_tag)
        self._schedule()

    def reject(self, delivery_tag: int, requeue: bool) -> None:
        """Reject `delivery_tag` now: requeue it, or else drop or dead-letter it, as its queue has it."""
        if not self._channel.closed:
            self._channel.reject(delivery_tag, requeue)
            self._rejected.add(delivery_tag)
            self._schedule()  # on a channel without acks, the tags would be kept for ever

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._channel.client.at_end_of_pass(self.flush)

    def flush(self) -> None:
        """Send the gathered acks. On a closed channel they are dropped: the broker delivers those requests again."""
        self._scheduled = False
        settled, rejected, told = self._settled, self._rejected, self._told
        if self._channel.closed:
            settled.clear()
            rejected.clear()
            return
        lowest, highest_settled = self._lowest, 0
        while True:
            if lowest in settled:
                settled.remove(lowest)
                highest_settled = lowest
            elif lowest in rejected:
                rejected.remove(lowest)
            elif lowest in told.last_of:
                lowest = told.take_run(lowest)
            else:
                break
            lowest += 1
        self._lowest = lowest
        if highest_settled:
            self._channel.ack(highest_settled, multiple=True)
        if settled or rejected:
            above = sorted(settled)
            for tag in above:
                self._channel.ack(tag)
            told.update(above)
            if rejected:
                told.update(rejected)
            settled.clear()
            rejected.clear()
