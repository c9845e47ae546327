"""Chat on a channel of its own.

`protocol` is the state machine (floor 1), `session` drives it (floor 3).
"""
