"""The answers in which RabbitMQ 3.10 and RabbitMQ 4 differ, and the embedded broker can give either.

This is the only list of them. The sources are RabbitMQ's release notes of 4.0.1, and the probes (``tools/probes/``),
which compare the embedded broker with both versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from rpc.reply_codes import COMMAND_INVALID, PRECONDITION_FAILED


@attrs.frozen
class Compatibility:
    """The answers of one version of RabbitMQ.

    :ivar version: its major version.
    :ivar unknown_type: reply code for the declaration of an exchange of a type that does not exist.
    :ivar any_delivery_mode: whether a message may have another delivery mode than 1 and 2. It is not persistent.
    :ivar believes_publishers: whether a header ``x-death`` that a publisher wrote counts as a message's history.
        Otherwise its history begins with the first death in this broker.
    :ivar writes_last_death: whether dead letters have the headers ``x-last-death-*``.
    :ivar delivery_limit: of a quorum queue that is declared without ``x-delivery-limit``; ``None``: no limit.
    :ivar unlimited_deliveries: whether a negative ``x-delivery-limit`` is allowed, and means no limit.
    """

    version: int
    unknown_type: int
    any_delivery_mode: bool
    believes_publishers: bool
    writes_last_death: bool
    delivery_limit: int | None
    unlimited_deliveries: bool


RABBITMQ_3: Final = Compatibility(
    version=3,
    unknown_type=COMMAND_INVALID,
    any_delivery_mode=False,
    believes_publishers=True,
    writes_last_death=False,
    delivery_limit=None,
    unlimited_deliveries=False,
)
RABBITMQ_4: Final = Compatibility(
    version=4,
    unknown_type=PRECONDITION_FAILED,
    any_delivery_mode=True,
    believes_publishers=False,
    writes_last_death=True,
    delivery_limit=20,
    unlimited_deliveries=True,
)

COMPATIBILITY: Final[Mapping[int, Compatibility]] = {each.version: each for each in (RABBITMQ_3, RABBITMQ_4)}
"""By the number that users give."""
