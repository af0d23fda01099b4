"""Makes ``twistd rpc-worker`` known to Twisted."""

from twisted.application.service import ServiceMaker

rpc_worker = ServiceMaker(
    "Thrift RPC worker",
    "rpc.cli.worker",
    "Serve Thrift services through an AMQP broker.",
    "rpc-worker",
)
