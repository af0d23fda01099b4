"""Acknowledgements gathered over a pass of reading, or a reactor turn.

A request is acked when its reply was written. Requests settle in any order, so the tags of one pass are sent as one
ack up to the highest tag below which all are settled, and one each for those above it: a call that takes long holds
up nobody's ack. Nothing unsettled is ever covered by an ack.
"""

from __future__ import annotations

from rpc.amqp.channel import Channel


class AckCollector:
    """Acks of the deliveries of one channel."""

    __slots__ = ("_acked", "_channel", "_lowest", "_scheduled", "_settled")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lowest = 1  # the lowest tag not acked
        self._settled: set[int] = set()  # to be acked in this pass
        self._acked: set[int] = set()  # acked one by one, above the lowest
        self._scheduled = False

    def ack(self, delivery_tag: int) -> None:
        """Ack `delivery_tag` when the bytes at hand are read, in the next reactor turn, or in :meth:`flush`."""
        self._settled.add(delivery_tag)
        self._schedule()

    def reject(self, delivery_tag: int, requeue: bool) -> None:
        """Refuse `delivery_tag` now."""
        if not self._channel.closed:
            self._channel.reject(delivery_tag, requeue)
            self._acked.add(delivery_tag)
            self._schedule()  # where nothing is ever acked, the tags would be kept for ever

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._channel.client.at_end_of_pass(self.flush)

    def flush(self) -> None:
        """Send the acks gathered. On a closed channel they are dropped: the broker delivers those requests again."""
        self._scheduled = False
        if self._channel.closed:
            self._settled.clear()
            return
        settled, acked = self._settled, self._acked
        lowest, highest_settled = self._lowest, 0
        while True:
            if lowest in settled:
                settled.remove(lowest)
                highest_settled = lowest
            elif lowest in acked:
                acked.remove(lowest)
            else:
                break
            lowest += 1
        self._lowest = lowest
        if highest_settled:
            self._channel.ack(highest_settled, multiple=True)
        for tag in sorted(settled):
            self._channel.ack(tag)
        acked |= settled
        settled.clear()
