"""The state cookie: state of the answering side, kept by the initiating side (RFC 9260, 5.1.3).

A MAC with a secret of this association proves that a returned cookie is ours and unchanged; the
cookie contains the time when it was made. Its format is local::

    +-------------------+-------------------+-----------------+----------------+---------+
    | local tag .. TSN  | peer tag .. TSN   | tie-tags (2*4)  | created (8)    | MAC(16) |
    +-------------------+-------------------+-----------------+----------------+---------+
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from struct import Struct

from .features import Features
from .init_parameters import InitParameters

__all__ = ["Cookie"]

_SIDE = "LLLHHB"
_FORM = Struct("!" + _SIDE + _SIDE + "LLd")
_MAC_SIZE = 16


def _pack_side(side: InitParameters) -> tuple[int, ...]:
    return (
        side.tag,
        side.initial_tsn,
        side.window,
        side.outbound_streams,
        side.inbound_streams,
        side.features.pack(),
    )


def _unpack_side(
    tag: int, initial_tsn: int, window: int, outbound: int, inbound: int, features: int
) -> InitParameters:
    return InitParameters(tag, initial_tsn, window, outbound, inbound, Features.unpack(features))


@dataclass(frozen=True, slots=True)
class Cookie:
    """INIT parameters of both sides, as they apply when the cookie returns."""

    local: InitParameters
    peer: InitParameters
    local_tie_tag: int
    """Tag of the association that existed when it was made; 0 without one (5.2.2)."""
    peer_tie_tag: int
    created: float
    """Monotonic time in seconds."""

    def serialize(self, secret: bytes) -> bytes:
        """Return the signed bytes."""
        body = _FORM.pack(
            *_pack_side(self.local),
            *_pack_side(self.peer),
            self.local_tie_tag,
            self.peer_tie_tag,
            self.created,
        )
        return body + _mac(secret, body)

    @classmethod
    def parse(cls, data: bytes, secret: bytes) -> Cookie | None:
        """Return the cookie, or ``None`` when we did not make it."""
        body, mac = data[:-_MAC_SIZE], data[-_MAC_SIZE:]
        if len(body) != _FORM.size or not hmac.compare_digest(mac, _mac(secret, body)):
            return None
        fields = _FORM.unpack(body)
        local, peer = _unpack_side(*fields[0:6]), _unpack_side(*fields[6:12])
        return cls(local, peer, *fields[12:])


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).digest()[:_MAC_SIZE]
