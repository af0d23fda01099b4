"""Programs with other clients that print a broker's answers, to compare two brokers."""
