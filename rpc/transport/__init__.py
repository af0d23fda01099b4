"""The two ends of a call: requests go out and replies settle them; requests come in and replies go out."""
