"""The client half: a call becomes a request, and its reply settles it."""
