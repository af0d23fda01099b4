"""Facts about a broker by its product and version (AMQP 0-9-1, connection.start, ``server-properties``). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from rpc.topology import CONSUMER_TIMEOUT

RABBITMQ = "RabbitMQ"
EMBEDDED = "thrift-amqp-rpc embedded broker"

_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})")


@attrs.frozen
class BrokerVersion:
    """A broker as it names itself.

    :ivar product: empty when the broker does not tell it.
    :ivar version: major and minor; zeros when it does not tell them.
    """

    product: str = ""
    version: tuple[int, int] = (0, 0)

    @classmethod
    def read(cls, properties: Mapping[str, Any]) -> BrokerVersion:
        """Return what is in the server properties, which may be any."""
        product, found = properties.get("product"), _VERSION.match(str(properties.get("version")))
        version = (int(found[1]), int(found[2])) if found else (0, 0)
        return cls(product if isinstance(product, str) else "", version)

    @property
    def takes_new_secrets(self) -> bool:
        """Whether it has connection.update-secret: RabbitMQ from 3.8 on, without a capability for it. Another broker
        might close the connection because of an unknown method.
        """
        return self.product == EMBEDDED or (self.product == RABBITMQ and self.version >= (3, 8))

    @property
    def survives_unknown_direct_replies(self) -> bool:
        """Whether a reply to an invented name of direct reply-to leaves the publisher's connection open.

        RabbitMQ 3.10 and 4.0 close the connection (541). RabbitMQ 4.3 and the embedded broker return the message.
        """
        return self.product == EMBEDDED or (self.product == RABBITMQ and self.version >= (4, 3))

    def accepted(self, declaration: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments of a declaration without those that this broker refuses.

        RabbitMQ 4.3 has the delivery acknowledgement timeout for quorum queues only. It refuses ``x-consumer-timeout``
        on a new classic queue (406), which needs none.
        """
        table = declaration.get("arguments") or {}
        is_classic = table.get("x-queue-type") == "classic"
        if not (is_classic and CONSUMER_TIMEOUT in table and self.product == RABBITMQ and self.version >= (4, 3)):
            return declaration
        return {**declaration, "arguments": {name: value for name, value in table.items() if name != CONSUMER_TIMEOUT}}
