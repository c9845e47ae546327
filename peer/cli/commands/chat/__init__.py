"""``peerline chat`` (floor 4): the command, the conversation, and the two ways to show it."""
