"""The client's side of the signaling protocol (floor 2): one WebSocket and its messages.

Nothing here knows what the signals that it carries mean.
"""
