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
from .reno import NewReno

__all__ = [
    "AckSample",
    "CongestionController",
    "ControllerFactory",
    "Flight",
    "LossSample",
    "NewReno",
    "PathProfile",
]
