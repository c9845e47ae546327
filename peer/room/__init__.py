"""Rooms, where peers meet on a server (floor 3): `host` and `join` enter a `Room`."""
