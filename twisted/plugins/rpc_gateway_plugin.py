"""Makes ``twistd rpc-gateway`` known to Twisted."""

from twisted.application.service import ServiceMaker

rpc_gateway = ServiceMaker(
    "Thrift RPC gateway",
    "rpc.cli.gateway_daemon",
    "Serve stock Thrift clients, by framed TCP and HTTP, from services behind an AMQP broker.",
    "rpc-gateway",
)
