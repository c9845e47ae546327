"""ICE candidates as text (RFC 8839, 5.1): one strict reader, and writing them anew.

A candidate decides where our packets go, so nothing but an address, a port and a few numbers
gets through; what aiortc or a browser is given is built from those, never from the text.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal, Self, cast

__all__ = ["Candidate", "CandidateType", "is_mdns_name"]

CandidateType = Literal["host", "srflx", "prflx", "relay"]

MAX_LINE: Final = 512
"""Characters of the longest line that is looked at; browsers' have some 200."""

_COMPONENT: Final = 1
"""The only one there is without RTCP (RFC 8445, 13)."""

_LINE: Final = re.compile(
    r"candidate:(?P<foundation>[A-Za-z0-9+/]{1,32}) (?P<component>[0-9]{1,3})"
    r" (?P<transport>[A-Za-z0-9-]{1,16}) (?P<priority>[0-9]{1,10})"
    r" (?P<address>[A-Za-z0-9.:-]{1,80}) (?P<port>[0-9]{1,5})"
    r" typ (?P<type>host|srflx|prflx|relay)"
    r"(?: raddr (?P<raddr>[A-Za-z0-9.:-]{1,80}) rport (?P<rport>[0-9]{1,5}))?"
    r"(?: [!-~]+ [!-~]+)*"
)

# Random ones only (draft-ietf-mmusic-mdns-ice-candidates, 3.1.1): with any name, whoever offers
# could have us find and reach devices of the local network.
_NAME: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\.local")

_MDNS_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,63}\.local")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A UDP candidate.

    Attributes:
        foundation: groups candidates of one origin.
        priority: 1 to 2^31 - 1.
        address: an IP address in its usual form, or a name of the kind browsers make up.
        port: 1 to 65535.
        type: how it was found.
        related: address and port that it was found from; None if it does not say.
    """

    foundation: str
    priority: int
    address: str
    port: int
    type: CandidateType
    related: tuple[str, int] | None = None

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """Read `candidate:...`; None for nonsense, and for what is of no use to us: TCP."""
        match = _LINE.fullmatch(line) if len(line) <= MAX_LINE else None
        if match is None or int(match["component"]) != _COMPONENT:
            return None
        address, priority, port = _target(match["address"]), int(match["priority"]), match["port"]
        usable = match["transport"].lower() == "udp" and 0 < priority < 2**31
        if address is None or not usable or not 0 < int(port) <= 65535:
            return None
        related = None
        if match["raddr"] is not None:
            # It serves no purpose but diagnostics (RFC 8839, 5.1): an odd one does no harm.
            origin = _ip(match["raddr"])
            if origin is not None and int(match["rport"]) <= 65535:
                related = (str(origin), int(match["rport"]))
        kind = cast(CandidateType, match["type"])
        return cls(match["foundation"], priority, address, int(port), kind, related)

    def text(self) -> str:
        """The candidate as `candidate:...`."""
        related = "" if self.related is None else " raddr {} rport {}".format(*self.related)
        return (
            f"candidate:{self.foundation} {_COMPONENT} udp {self.priority}"
            f" {self.address} {self.port} typ {self.type}{related}"
        )


def is_mdns_name(host: str) -> bool:
    """Return whether a candidate's address is an mDNS name, as browsers generate them."""
    return _MDNS_NAME.fullmatch(host) is not None


def _target(text: str) -> str | None:
    """Where packets may be sent to: one machine's address, or the name that hides it."""
    if _NAME.fullmatch(text):
        return text
    address = _ip(text)
    if address is None or address.is_unspecified or address.is_multicast:
        return None
    if address.version == 4:
        return None if address == ipaddress.IPv4Address("255.255.255.255") else str(address)
    # An IPv4 address in disguise would be taken for one of another family.
    return None if address.ipv4_mapped is not None else str(address)


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
