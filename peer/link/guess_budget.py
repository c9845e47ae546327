"""The guesses at one code or password, shared by the set-ups of a room (floor 3).

Spent guesses outlive the room: neither a server that ends the connection, nor a program that
returns, by itself or because a person tries again, gets new ones. Guesses belong to the secret,
wherever it is tried: a code has one guess at all servers together, whatever name a server gives to
the room.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Final, Self, TypeVar
from unicodedata import normalize

from peer.security.guesses import (
    CODE_GUESSES,
    ROOM_GUESSES,
    ROOM_WINDOW,
    Decisions,
    Guesses,
    Verdict,
)

__all__ = ["Budget"]

MAX_KEPT: Final = 256
"""Codes, and named rooms, that are remembered; beyond, the oldest is forgotten."""

_Value = TypeVar("_Value")
_codes: dict[Hashable, Budget] = {}
"""Budgets of codes that were joined; rooms that try one at the same time share its guess."""
_spent: dict[Hashable, list[float]] = {}
"""When guesses at named rooms were taken that are spent: those of the member that had most."""


class Budget:
    """The guesses that are left at a code or password.

    Make one with `of_new_code`, `of_code` or `of_room`.
    """

    def __init__(self, guesses: Guesses, key: Hashable = None) -> None:
        self._guesses = guesses
        self._key = key
        self._runs: dict[int, Callable[[bool], bool]] = {}
        self._last = 0
        self._undelivered: deque[tuple[int, Verdict]] = deque()
        self._delivers = False

    @classmethod
    def of_new_code(cls) -> Self:
        """The budget of a code that this side has made, which nobody else has seen yet."""
        return cls(Guesses(CODE_GUESSES))

    @classmethod
    def of_code(cls, code: bytes) -> Budget:
        """The budget of a code that was made by the other side: the same one for the same code.

        Args:
            code: In normal form.
        """
        # Callbacks stay in their thread.
        key = (threading.get_ident(), _digest(code))
        budget = _codes.pop(key, None) or cls(Guesses(CODE_GUESSES))
        _keep(_codes, key, budget)
        return budget

    @classmethod
    def of_room(cls, server: str, room: str, password: bytes) -> Self:
        """The budget of one member of a named room. Guesses spent there before count.

        Members in one program are several, as they would be in several: each proves itself to the
        others, and with one budget for all of them they would wait for each other.

        Args:
            server: Host and port.
            room: Name that was asked for.
            password: Of the room.
        """
        key = (server, normalize("NFC", room), _digest(password))
        return cls(Guesses(ROOM_GUESSES, ROOM_WINDOW, _spent.get(key, ())), key)

    @property
    def taken(self) -> int:
        """Guesses that are taken now."""
        return self._guesses.count(monotonic())

    @property
    def spent(self) -> bool:
        """Whether all guesses are spent, so that whoever asks is refused."""
        return self._guesses.is_spent(monotonic())

    def begin(self, decide: Callable[[bool], bool]) -> int:
        """Begin a run; `decide` hears whether it may answer, some time after it has asked.

        It returns False if it has no use for that any more.
        """
        self._last += 1
        self._runs[self._last] = decide
        return self._last

    def ask(self, run: int) -> None:
        """A run wants to answer the other side's share."""
        self._deliver(self._guesses.ask(run, monotonic()))

    def proved(self, run: int) -> None:
        """A run's other side has proved itself."""
        self._deliver(self._guesses.proved(run, monotonic()))

    def end(self, run: int) -> None:
        """A run is over."""
        del self._runs[run]
        now = monotonic()
        self._deliver(self._guesses.over(run, now))
        if self._key is not None and (spent := self._guesses.spent(now)):
            known = [taken for taken in _spent.pop(self._key, []) if now < taken + ROOM_WINDOW]
            _keep(_spent, self._key, max(spent, known, key=len))

    def _deliver(self, decisions: Decisions) -> None:
        # A run that may go can prove itself at once, and let the next one go: not in its call.
        self._undelivered += decisions
        if self._delivers:
            return
        self._delivers = True
        try:
            while self._undelivered:
                run, verdict = self._undelivered.popleft()
                decide, goes = self._runs.get(run), verdict is Verdict.GO
                if decide is not None and not decide(goes) and goes:
                    self.proved(run)  # nobody has guessed by it
        finally:
            self._delivers = False


def _digest(secret: bytes) -> bytes:
    """Return a digest that stands for a secret, so that the secret is not kept."""
    return hashlib.sha256(secret).digest()


def _keep(kept: dict[Hashable, _Value], key: Hashable, value: _Value) -> None:
    """Remember something as the newest."""
    kept[key] = value
    while len(kept) > MAX_KEPT:
        del kept[next(iter(kept))]
