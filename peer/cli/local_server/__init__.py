"""The signaling server inside ``send`` and ``chat``, announced on the network (floor 4)."""
