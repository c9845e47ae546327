"""The peers of a room: admission to a link, and which failures matter (floor 1)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from peer.errors import (
    CodeSpent,
    Guessed,
    LinkClosed,
    PeerError,
    PeerLeft,
    PeerTimeout,
    ProtocolError,
    TooManyGuesses,
    WrongCode,
)
from peer.types import PeerInfo

__all__ = ["Consequence", "Roster"]

MAX_PEERS: Final = 1024
"""Other peers in a room; further ones that the server announces are ignored."""
MAX_SETTING_UP: Final = 128
"""Links that are set up at once; peers that arrive meanwhile get none."""
MAX_FAILURES: Final = 64
"""Failures that are remembered, the newest ones."""


class Consequence(Enum):
    """Consequences of a failed set-up for the room."""

    ROOM_ENDS = "room_ends"
    """A code is good for one attempt."""
    REPORT = "report"
    """The waiting program is told; other peers may still come."""
    NONE = "none"


class Roster:
    """The other peers of one room.

    Args:
        own_id: Our peer id.
        present: Peers that were there before us.
        code_room: Whether the room belongs to a code, which is good for one attempt.

    Attributes:
        peers: The others who are in the room now, by their ids.
        failures: Why there is no link to some of them, by their ids; the newest ones.
        setting_up: Number of links that are being set up.
    """

    def __init__(self, own_id: str, present: Iterable[PeerInfo], *, code_room: bool) -> None:
        self.peers = {peer.id: peer for _, peer in zip(range(MAX_PEERS), present, strict=False)}
        self.failures: dict[str, PeerError] = {}
        self.setting_up = 0
        self._own_id = own_id
        self._code_room = code_room
        self._present_before_us = frozenset(self.peers)
        self._attempted = False

    def join(self, peer: PeerInfo) -> bool:
        """Add a peer; False if there are too many."""
        if len(self.peers) >= MAX_PEERS:
            return False
        self.peers[peer.id] = peer
        return True

    def leave(self, peer_id: str) -> None:
        """Remove a peer that has left the room."""
        self.peers.pop(peer_id, None)

    def refusal(self, peer_id: str) -> str | None:
        """Return why a peer gets no link, for a log; None if it may have one."""
        if peer_id == self._own_id:
            return "ignoring our own id"
        if self._code_room and self._attempted:
            # Even if the first attempt failed, and its peer has left.
            return "ignoring another peer in a room for two"
        if self.setting_up >= MAX_SETTING_UP:
            return "ignoring a peer: too many links are being set up"
        return None

    def begin_setup(self) -> None:
        """Count a link whose set-up begins."""
        self._attempted = True
        self.setting_up += 1

    def end_setup(self) -> None:
        """Count a link whose set-up is over."""
        self.setting_up -= 1

    def fail(
        self, peer_id: str, error: PeerError, *, has_links: bool, guesses_spent: bool
    ) -> Consequence:
        """Remember a failed set-up, and decide what follows.

        Args:
            peer_id: The other peer.
            error: Why there is no link to it.
            has_links: Whether the room has, or had, a link to any peer.
            guesses_spent: Whether every guess at the password is spent.
        """
        self.failures.pop(peer_id, None)
        self.failures[peer_id] = error
        if len(self.failures) > MAX_FAILURES:
            del self.failures[next(iter(self.failures))]
        if self._code_room:
            return Consequence.ROOM_ENDS
        # If we joined last and have no link, the failure is raised; but not faults and guesses of
        # others, or one stranger could send everybody away. Once all guesses are spent nobody can
        # come any more.
        fault = isinstance(error, ProtocolError | PeerLeft | PeerTimeout | LinkClosed | Guessed)
        alone = not (self.setting_up or has_links)
        if peer_id in self._present_before_us and alone and (guesses_spent or not fault):
            return Consequence.REPORT
        return Consequence.NONE

    def reworded(self, error: PeerError, *, offerer: bool, authenticated: bool) -> PeerError:
        """Return the error of a failed set-up in the terms of a code or of a password."""
        if not self._code_room:
            if isinstance(error, Guessed):
                return Guessed(
                    "Somebody tried a wrong password, or left before proving to know it."
                )
            if type(error) is WrongCode and str(error) == str(WrongCode()):
                return WrongCode("The password does not match the other side's.")
        elif isinstance(error, TooManyGuesses):
            return Guessed()
        elif type(error) is PeerLeft and offerer and not authenticated:
            return CodeSpent()
        return error
