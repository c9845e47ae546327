"""DTLS records and the packets in them (floor 2): in batches where the socket is ours."""
