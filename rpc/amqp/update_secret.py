"""Which brokers have ``connection.update-secret``, by their server properties (AMQP 0-9-1, connection.start). Pure.

RabbitMQ has the extension from 3.8 on, and no capability for it. Another broker might close the connection because of
an unknown method.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

EMBEDDED_BROKER: Final = "thrift-amqp-rpc embedded broker"
"""The product of this project's own broker."""

_SINCE: Final = (3, 8)


def offers_update_secret(server: Mapping[str, Any]) -> bool:
    """Return whether a broker of these properties has connection.update-secret."""
    product = server.get("product")
    release = re.match(r"(\d{1,5})\.(\d{1,5})", str(server.get("version")))
    if product == "RabbitMQ":
        return release is not None and (int(release[1]), int(release[2])) >= _SINCE
    return bool(product == EMBEDDED_BROKER)
