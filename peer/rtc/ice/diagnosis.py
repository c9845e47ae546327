"""Reasons why there is no network path, derived from the candidates of both sides (floor 1).

Both sides use the same lists, so both reach the same conclusion, each worded from its point of
view.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .candidates import Candidate, is_mdns_name

__all__ = ["GatheredCandidates", "advice", "changes_ports", "families", "hopeless"]


@dataclass(frozen=True, slots=True)
class GatheredCandidates:
    """Candidates that one side has gathered.

    Attributes:
        candidates: As signaled.
        servers: Whether it had STUN or TURN servers; unknown for the peer, and assumed.
    """

    candidates: tuple[Candidate, ...]
    servers: bool = True

    @property
    def is_seen(self) -> bool:
        """Whether one of them is public: a server-reflexive or a global host address."""
        return any(
            candidate.type == "srflx"
            or (
                not is_mdns_name(candidate.address)
                and ipaddress.ip_address(candidate.address).is_global
            )
            for candidate in self.candidates
        )


_BOTH_CHANGE: Final = (
    "Both routers change ports for every destination, so neither side can be found from outside: "
    "a TURN server is needed."
)
_ONE_CHANGES: Final = (
    "{} router changes ports for every destination, and {} lets in only what it expects: "
    "a TURN server is needed."
)
_FAMILIES: Final = (
    "{} has only {} addresses and {} only {}: a TURN server that both can reach is needed."
)
_ONLY_RELAY: Final = (
    "{} shows nothing but the address of its TURN server, and {} cannot reach that. "
    "Another TURN server, or one that is reached over TCP or TLS, may help."
)
_NO_SERVERS: Final = (
    "This side had no STUN or TURN server to ask, so the two machines can meet only within one "
    "network: a STUN server is needed, or a TURN server if that is not enough."
)
_NO_ANSWER: Final = (
    "{} network lets no answer of a STUN server through; it probably blocks UDP: "
    "a TURN server that is reached over TCP or TLS is needed."
)
_NO_ANSWERS: Final = (
    "Neither side got an answer of a STUN server; both networks probably block UDP: "
    "a TURN server that is reached over TCP or TLS is needed."
)
_RELAYED: Final = (
    "Not even the TURN server's address led to the other side: a firewall blocks it, or the "
    "server does not relay. Another TURN server, over TLS on port 443 if possible, may help."
)
_CLOSED: Final = (
    "The routers or firewalls in between let nothing in that was not asked for: "
    "a TURN server is needed."
)


def families(candidates: Iterable[Candidate]) -> set[str]:
    """Return the families of the addresses, `IPv4` and `IPv6`; both for an mDNS name."""
    found: set[str] = set()
    for candidate in candidates:
        if is_mdns_name(candidate.address):
            return {"IPv4", "IPv6"}
        found.add("IPv6" if ":" in candidate.address else "IPv4")
    return found


def hopeless(ours: Iterable[Candidate], theirs: Iterable[Candidate]) -> bool:
    """Return whether no candidate of one side has a counterpart of its family on the other.

    False when a side has signaled no candidate: its checks may still reveal its address.
    """
    own, other = families(ours), families(theirs)
    return bool(own) and bool(other) and not own & other


def changes_ports(candidates: Iterable[Candidate]) -> bool:
    """Return whether a NAT maps one socket to another port for each destination.

    Two STUN servers that see one socket under different ports show it (RFC 5780, 4.3):
    address- and port-dependent mapping, "symmetric NAT".
    """
    seen: dict[tuple[str, int], set[tuple[str, int]]] = {}
    for candidate in candidates:
        base = candidate.related
        # Browsers hide the base: one without a port does not identify a socket.
        if candidate.type == "srflx" and base is not None and base[1] not in (0, 9):
            seen.setdefault(base, set()).add((candidate.address, candidate.port))
    return any(len(addresses) > 1 for addresses in seen.values())


def advice(ours: GatheredCandidates, theirs: GatheredCandidates) -> str:
    """Return one or two sentences: the reason and a remedy; empty if unknown."""
    if not ours.candidates or not theirs.candidates:
        return ""
    if hopeless(ours.candidates, theirs.candidates):
        (own,), (other,) = families(ours.candidates), families(theirs.candidates)
        return _FAMILIES.format("This side", own, "the other", other)
    own_kinds = {candidate.type for candidate in ours.candidates}
    other_kinds = {candidate.type for candidate in theirs.candidates}
    if own_kinds == {"relay"}:
        return _ONLY_RELAY.format("This side", "the other")
    if other_kinds == {"relay"}:
        return _ONLY_RELAY.format("The other side", "this one")
    if "relay" in own_kinds | other_kinds:
        return _RELAYED
    own_changes, other_changes = changes_ports(ours.candidates), changes_ports(theirs.candidates)
    if own_changes and other_changes:
        return _BOTH_CHANGE
    if own_changes:
        return _ONE_CHANGES.format("This side's", "the other side's")
    if other_changes:
        return _ONE_CHANGES.format("The other side's", "this side's")
    if not ours.servers and "srflx" not in own_kinds:
        return _NO_SERVERS
    if theirs.is_seen and not ours.is_seen:
        return _NO_ANSWER.format("This side's")
    if not ours.is_seen and not theirs.is_seen:
        return _NO_ANSWERS
    if ours.is_seen and not theirs.is_seen:
        return _NO_ANSWER.format("The other side's")
    return _CLOSED
