"""Engines of data channels over DTLS (floor 2): our own SCTP association, or aiortc's."""
