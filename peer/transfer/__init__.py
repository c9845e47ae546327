"""Transfers of files over a link.

`protocol` has the state machines and messages (floors 0 and 1), `disk` reads and writes files
(floor 2), `engine` joins machine, disk and channels (floor 3). `PROTOCOL.md` beside this file
describes what travels.
"""
