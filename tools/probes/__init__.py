"""Programs of other clients that show what a broker answers, and how two brokers are compared by them."""
