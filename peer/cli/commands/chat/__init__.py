"""``peerline chat``: the command, the conversation, and the two ways to show it."""
