"""Thrift RPC over AMQP 0-9-1 (RabbitMQ), on Twisted."""
