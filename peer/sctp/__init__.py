"""SCTP for WebRTC data channels, sans-I/O (floor 1).

Bytes and the time go in, bytes and events come out.

:class:`Association` is the public class; ``README.md`` lists the RFC sections of each file.
"""

from __future__ import annotations

from .association import Association
from .config import SctpConfig
from .errors import LocalProtocolError
from .events import (
    AssociationEnded,
    BufferedAmountLow,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    Ending,
    Established,
    Event,
    Restarted,
)
from .state import State
from .stats import Stats
from .wire.init_parameters import make_sctp_init, parse_sctp_init
from .wire.ppid import Ppid, decode_payload, encode_payload

__all__ = [
    "Association",
    "AssociationEnded",
    "BufferedAmountLow",
    "DataChannelClosed",
    "DataChannelMessage",
    "DataChannelOpened",
    "Ending",
    "Established",
    "Event",
    "LocalProtocolError",
    "Ppid",
    "Restarted",
    "SctpConfig",
    "State",
    "Stats",
    "decode_payload",
    "encode_payload",
    "make_sctp_init",
    "parse_sctp_init",
]
