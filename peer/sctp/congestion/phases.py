"""The phases of BBR, their gains, and the detection of a full pipe."""

from __future__ import annotations

from enum import Enum

from .base import AckSample
from .path_model import PathModel

__all__ = ["GAINS", "FullPipe", "Phase"]


class Phase(Enum):
    """Phases of the controller (draft-ietf-ccwg-bbr, 3.4)."""

    STARTUP = "startup"
    DRAIN = "drain"
    DOWN = "down"
    CRUISE = "cruise"
    REFILL = "refill"
    UP = "up"
    PROBE_RTT = "probe_rtt"


GAINS = {
    Phase.STARTUP: (2.77, 2.0),
    Phase.DRAIN: (0.5, 2.0),
    Phase.DOWN: (0.9, 2.0),
    Phase.CRUISE: (1.0, 2.0),
    Phase.REFILL: (1.0, 2.0),
    Phase.UP: (1.25, 2.25),
    Phase.PROBE_RTT: (1.0, 0.5),
}
"""Pacing gain over the bandwidth, window gain over the bandwidth-delay product (draft, 5.6.1)."""

_GROWTH = 1.25
_FLAT_ROUNDS = 3


class FullPipe:
    """Detects that sending more no longer delivers more (draft, 5.3.1.2)."""

    __slots__ = ("_bw", "_flat_rounds")

    def __init__(self) -> None:
        self._bw = 0.0
        self._flat_rounds = 0

    def reset(self, bw: float) -> None:
        """Look for growth beyond `bw`, bytes per second."""
        self._bw = bw
        self._flat_rounds = 0

    def check(self, model: PathModel, sample: AckSample) -> bool:
        """Return whether the bandwidth stayed flat for three rounds; call once per SACK."""
        if model.round_start and not sample.snapshot.app_limited:
            if model.max_bw >= self._bw * _GROWTH:
                self.reset(model.max_bw)
            else:
                self._flat_rounds += 1
        return self._flat_rounds >= _FLAT_ROUNDS
