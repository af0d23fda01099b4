"""Makes ``twistd rpc-broker`` known to Twisted."""

from twisted.application.service import ServiceMaker

rpc_broker = ServiceMaker(
    "Thrift RPC broker",
    "rpc.cli.broker",
    "Run the embedded AMQP broker, to try, develop and test with.",
    "rpc-broker",
)
