"""Codes, proofs and keys (floor 1): which secret two people share, and what follows from it.

Pure functions and state machines: no clock, no socket, no event loop.
"""
