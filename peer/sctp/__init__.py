"""
SCTP for WebRTC data channels, sans-I/O: bytes and the time go in, bytes and events come out.

:class:`Association` is the door; ``README.md`` says which file does which RFC's section.
"""

from __future__ import annotations

from .association import Association
from .config import SctpConfig
from .errors import LocalProtocolError
from .events import (
    AssociationEnded,
    BufferedAmountLow,
    ChannelClosed,
    ChannelOpened,
    Ending,
    Established,
    Event,
    MessageReceived,
    Restarted,
)
from .ppid import Ppid, decode_payload, encode_payload
from .side import parse_proposal, propose
from .state import State
from .stats import Stats

__all__ = [
    "Association",
    "AssociationEnded",
    "BufferedAmountLow",
    "ChannelClosed",
    "ChannelOpened",
    "Ending",
    "Established",
    "Event",
    "LocalProtocolError",
    "MessageReceived",
    "Ppid",
    "Restarted",
    "SctpConfig",
    "State",
    "Stats",
    "decode_payload",
    "encode_payload",
    "parse_proposal",
    "propose",
]
