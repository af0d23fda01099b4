"""The protocols of Thrift by the last word of their content type."""

from thrift.protocol.TBinaryProtocol import TBinaryProtocolFactory
from thrift.protocol.TCompactProtocol import TCompactProtocolFactory
from thrift.protocol.TJSONProtocol import TJSONProtocolFactory

CONTENT_TYPE = "application/vnd.apache.thrift."

PROTOCOLS = {
    "binary": TBinaryProtocolFactory(),
    "compact": TCompactProtocolFactory(),
    "json": TJSONProtocolFactory(),
}


def protocol_of(content_type):
    """Return the name of a message's protocol; ``None`` for an unknown one. A message without a type is binary."""
    if not content_type:
        return "binary"
    name = content_type.removeprefix(CONTENT_TYPE)
    return name if name in PROTOCOLS and content_type.startswith(CONTENT_TYPE) else None
