"""Exchangeable congestion control; :mod:`peer.sctp.congestion.base` is the interface."""

from __future__ import annotations

from .base import (
    AckSample,
    CongestionController,
    ControllerFactory,
    LossSample,
    PathProfile,
    SendSnapshot,
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
    "LossSample",
    "NewReno",
    "PathProfile",
    "SendSnapshot",
]
