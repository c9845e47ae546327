"""SCTP for WebRTC data channels, sans-I/O: bytes and the time go in, bytes and events come out."""
