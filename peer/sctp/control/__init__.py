"""Handshake, shutdown, stream reset, heartbeats, path MTU discovery and data channels."""
