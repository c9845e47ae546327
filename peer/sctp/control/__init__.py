"""Everything but user data: handshake, shutdown, stream reset, heartbeats, path MTU, channels."""
