"""The worker half: a request is read, its handler run, its reply sent, and then it is acked."""
