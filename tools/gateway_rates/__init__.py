"""The rates of calls through a gateway, beside those of a direct client and of Thrift's own server.

All have the same handler (``services/calculator.py``), and the same number of calls in flight. Each round runs every
way once, so that all of them meet the same machine.
"""
