"""The signaling server inside ``send`` and ``chat``, and how others on the network find it."""
