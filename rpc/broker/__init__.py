"""An AMQP 0-9-1 broker in this process, for trying, developing and testing on one machine. Not for production."""
