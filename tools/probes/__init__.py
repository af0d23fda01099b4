"""Programs of other clients that record the answers of a broker, and their comparison between two brokers."""
