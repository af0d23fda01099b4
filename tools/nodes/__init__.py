"""Private broker nodes on free ports: RabbitMQ and the embedded broker, behind one interface."""
