"""ICE candidates as text (RFC 8839, 5.1): a strict parser and a generator (floor 1).

A candidate decides where our packets go, so only an address, a port and a few numbers are accepted;
aiortc and browsers get text that is generated from those, never the original.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal, Self, cast

__all__ = ["Candidate", "CandidateType", "is_mdns_name"]

CandidateType = Literal["host", "srflx", "prflx", "relay"]

MAX_LINE: Final = 512
"""Characters of the longest accepted line; those of browsers have some 200."""

_COMPONENT: Final = 1
"""The only component without RTCP (RFC 8445, 13)."""

_LINE: Final = re.compile(
    r"candidate:(?P<foundation>[A-Za-z0-9+/]{1,32}) (?P<component>[0-9]{1,3})"
    r" (?P<transport>[A-Za-z0-9-]{1,16}) (?P<priority>[0-9]{1,10})"
    r" (?P<address>[A-Za-z0-9.:-]{1,80}) (?P<port>[0-9]{1,5})"
    r" typ (?P<type>host|srflx|prflx|relay)"
    r"(?: raddr (?P<raddr>[A-Za-z0-9.:-]{1,80}) rport (?P<rport>[0-9]{1,5}))?"
    r"(?: [!-~]+ [!-~]+)*"
)

# Random names only (draft-ietf-mmusic-mdns-ice-candidates, 3.1.1): with other names, a peer could
# make us find and reach devices of the local network.
_NAME: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\.local")

_MDNS_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,63}\.local")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A UDP candidate.

    Attributes:
        foundation: Groups candidates of one origin.
        priority: 1 to 2^31 - 1.
        address: An IP address in canonical form, or an mDNS name as browsers generate them.
        port: 1 to 65535.
        type: How it was found.
        related: Related address and port; None without one.
    """

    foundation: str
    priority: int
    address: str
    port: int
    type: CandidateType
    related: tuple[str, int] | None = None

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """Parse `candidate:...`; return None for an invalid or unusable (TCP) one."""
        match = _LINE.fullmatch(line) if len(line) <= MAX_LINE else None
        if match is None or int(match["component"]) != _COMPONENT:
            return None
        address, priority, port = _target(match["address"]), int(match["priority"]), match["port"]
        usable = match["transport"].lower() == "udp" and 0 < priority < 2**31
        if address is None or not usable or not 0 < int(port) <= 65535:
            return None
        related = None
        if match["raddr"] is not None:
            # It serves diagnostics only (RFC 8839, 5.1): an invalid one is harmless.
            origin = _ip(match["raddr"])
            if origin is not None and int(match["rport"]) <= 65535:
                related = (str(origin), int(match["rport"]))
        kind = cast(CandidateType, match["type"])
        return cls(match["foundation"], priority, address, int(port), kind, related)

    def text(self) -> str:
        """Return the candidate as `candidate:...`."""
        related = "" if self.related is None else " raddr {} rport {}".format(*self.related)
        return (
            f"candidate:{self.foundation} {_COMPONENT} udp {self.priority}"
            f" {self.address} {self.port} typ {self.type}{related}"
        )


def is_mdns_name(host: str) -> bool:
    """Return whether a candidate's address is an mDNS name, as browsers generate them."""
    return _MDNS_NAME.fullmatch(host) is not None


def _target(text: str) -> str | None:
    """Return a unicast address or an mDNS name; None for others."""
    if _NAME.fullmatch(text):
        return text
    address = _ip(text)
    if address is None or address.is_unspecified or address.is_multicast:
        return None
    if address.version == 4:
        return None if address == ipaddress.IPv4Address("255.255.255.255") else str(address)
    # An IPv4-mapped address would be taken for one of the other family.
    return None if address.ipv4_mapped is not None else str(address)


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
