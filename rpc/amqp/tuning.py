"""The limits of a connection, as client and broker agree on them (AMQP 0-9-1, connection.tune). Pure."""

from __future__ import annotations

import attrs

from rpc.amqp.codec.frames import SMALLEST_FRAME_MAX
from rpc.errors import FrameError


@attrs.frozen
class Limits:
    """Limits that one side proposes, or that both have agreed on. 0 is no limit, and no heartbeat.

    :ivar channel_max: the highest channel number.
    :ivar frame_max: bytes of a frame.
    :ivar heartbeat: seconds.
    """

    channel_max: int
    frame_max: int
    heartbeat: int

    def agree(self, proposed: Limits) -> Limits:
        """Return the smaller of these limits and those that the broker has proposed.

        RabbitMQ notices silence after two to three intervals of the heartbeat, and we within two and a half. With five
        sixths of the smaller proposal, both notice it within two and a half times that proposal.

        :raises FrameError: 501, the broker takes smaller frames than AMQP allows.
        """
        if 0 < proposed.frame_max < SMALLEST_FRAME_MAX:
            raise FrameError(
                501, f"a frame_max of {proposed.frame_max}, below the {SMALLEST_FRAME_MAX} that all must take"
            )
        heartbeat = _smaller(self.heartbeat, proposed.heartbeat) if self.heartbeat else 0
        return Limits(
            _smaller(self.channel_max, proposed.channel_max),
            _smaller(self.frame_max, proposed.frame_max),
            max(1, heartbeat * 5 // 6) if heartbeat else 0,
        )


def _smaller(ours: int, theirs: int) -> int:
    return min(ours, theirs) if ours and theirs else ours or theirs
