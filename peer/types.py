"""Types that describe a peer and the network path to it (floor 0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["NetworkPath", "PeerInfo"]

CandidateType = Literal["host", "srflx", "prflx", "relay"]


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """The other end of a link.

    Attributes:
        id: Given by the server; ids sort by arrival in the room.
        name: Its own name for itself; not verified, but fit to be shown (`peer.text.fit_name`).
        agent: The program it runs, e.g. `peerline/0.2.0 python`; empty until it said hello.
    """

    id: str
    name: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class NetworkPath:
    """The network path under a link: one pair of ICE candidates (RFC 8445).

    Attributes:
        kind: `relayed` if a TURN server stands between the two, on either side.
        local_type: Of our candidate: `host` (own address), `srflx` (as a STUN server saw us),
            `prflx` (as the peer saw us), `relay` (a TURN server's).
        remote_type: Of the other side's, as far as it told us.
        local_address: `host:port`, IPv6 hosts in brackets.
        remote_address: Likewise.
    """

    kind: Literal["direct", "relayed"]
    local_type: CandidateType
    remote_type: CandidateType
    local_address: str
    remote_address: str

    def __str__(self) -> str:
        if self.kind == "relayed":
            return "relayed"
        return f"direct, {self.local_address} to {self.remote_address}"
