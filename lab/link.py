"""One description of a network link, which every emulator of this package takes.

An emulator states which of the fields it supports and refuses a link that needs others, so that no
test runs on a better network than it asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf

__all__ = ["Link"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One direction of a link; the other is alike unless `back` is given."""

    name: str = ""
    """Shown in tables."""
    delay: float = 0.0
    """Propagation, seconds."""
    jitter: float = 0.0
    """Uniform extra delay of up to so many seconds; packets closer than that overtake others."""
    rate: float = 0.0
    """Bits per second, headers included; 0 for no limit."""
    queue: int = 1000
    """Packets that wait for their turn or are being sent; more are dropped."""
    loss: float = 0.0
    """Long-run probability that a packet is lost."""
    burst: float = 1.0
    """Mean length of a loss burst, packets (Gilbert-Elliott); 1 for independent losses."""
    reorder: float = 0.0
    """Probability that a packet is held back by `reorder_delay`."""
    reorder_delay: float = 0.004
    """Seconds."""
    duplicate: float = 0.0
    """Probability that a packet arrives twice."""
    corrupt: float = 0.0
    """Probability that one bit of a packet is flipped."""
    mtu: int | None = None
    """Bytes of the largest packet, as the emulator sees packets; larger ones are dropped. None for
    the emulator's own limit."""
    back: Link | None = None
    """The other direction, where it differs."""

    def require(self, emulator: str, supported: frozenset[str]) -> None:
        """Refuse a link that an emulator cannot emulate.

        Args:
            emulator: Its name, for the error.
            supported: Names of the fields that it supports.

        Raises:
            ValueError: Another field is not at its default.
        """
        unsupported = [
            field.name
            for field in fields(self)
            if field.name not in supported | {"name"} and getattr(self, field.name) != field.default
        ]
        if unsupported:
            raise ValueError(f"{emulator} does not emulate {', '.join(unsupported)} of a link")

    def goodput_limit(self, payload: int = 1160, packet: int = 1260) -> float:
        """Return the best possible payload rate, bytes per second; inf without a rate.

        Args:
            payload: User bytes of each packet.
            packet: Bytes of each packet with all headers.
        """
        if not self.rate:
            return inf
        return self.rate / 8 * payload / packet * (1 - self.loss)
