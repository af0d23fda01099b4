"""The AMQP 0-9-1 codec: bytes and values, no I/O. ``rpc.amqp`` and ``rpc.broker`` share it."""
