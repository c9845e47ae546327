"""Serial numbers (RFC 9260, 1.6; RFC 1982): wrapped on the wire, growing integers inside.

A TSN is *unwrapped* as soon as it is parsed, against the number nearest to it that we already
know. Inside the association TSNs therefore compare, subtract and index like any int, and only
``& 0xFFFFFFFF`` on the way out makes them wire values again.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["MASK16", "MASK32", "Tsn", "unwrap16", "unwrap32"]

Tsn: TypeAlias = int
"""An unwrapped transmission sequence number."""

MASK16 = 0xFFFF
MASK32 = 0xFFFFFFFF
_HALF16 = 1 << 15
_HALF32 = 1 << 31


def unwrap32(wire: int, reference: int) -> int:
    """Return the int congruent to ``wire`` modulo 2**32 that is nearest to ``reference``."""
    return reference + ((wire - reference + _HALF32) & MASK32) - _HALF32


def unwrap16(wire: int, reference: int) -> int:
    """Return the int congruent to ``wire`` modulo 2**16 that is nearest to ``reference``."""
    return reference + ((wire - reference + _HALF16) & MASK16) - _HALF16
