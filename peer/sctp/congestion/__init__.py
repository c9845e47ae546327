"""Congestion control as a plug: see :mod:`peer.sctp.congestion.base`."""

from __future__ import annotations

from .base import (
    AckSample,
    CongestionController,
    ControllerFactory,
    Flight,
    LossSample,
    PathProfile,
)
from .bbr import BBR
from .cubic import Cubic
from .reno import NewReno

__all__ = [
    "BBR",
    "AckSample",
    "CongestionController",
    "ControllerFactory",
    "Cubic",
    "Flight",
    "LossSample",
    "NewReno",
    "PathProfile",
]
