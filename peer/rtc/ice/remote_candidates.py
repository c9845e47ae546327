"""Intake of the peer's candidates: bounded, with lookup of `.local` names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiortc import RTCIceCandidate, RTCPeerConnection

from .candidates import Candidate, is_mdns_name
from .mdns import MdnsResolver

__all__ = ["Intake"]

logger = logging.getLogger(__name__)

MAX_EARLY = 64
"""Candidates that are kept until their description is applied."""
MAX_CANDIDATES = 256
"""Candidates that are tried; each causes packets to its address."""
MAX_NAMES = 16
"""Names that are looked up; each causes multicasts on the local network."""
# Exceptions of aiortc for unexpected input, or after it is closed.
_ERRORS = (ValueError, AssertionError, LookupError, AttributeError, TypeError)


class Intake:
    """Adds candidates to one connection; lookups run in parallel."""

    def __init__(
        self,
        pc: RTCPeerConnection,
        *,
        relay_only: bool,
        addresses: Callable[[], list[str]],
        on_candidate: Callable[[Candidate], None],
    ) -> None:
        """Prepare; candidates are kept until `begin`.

        Args:
            pc: The connection.
            relay_only: Do not look names up: a TURN server must not learn the hidden addresses.
            addresses: Returns this host's addresses, on whose networks names are looked up.
            on_candidate: Called with each candidate that is added.
        """
        self._pc = pc
        self._relay_only = relay_only
        self._addresses = addresses
        self._on_candidate = on_candidate
        self._mid: str | None = None
        self._early: list[Candidate] = []
        self._taken = 0
        self._names: set[str] = set()
        self._resolver: MdnsResolver | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, candidate: Candidate) -> None:
        """Add a candidate, or keep it until `begin`."""
        if self._mid is None:
            if len(self._early) < MAX_EARLY:
                self._early.append(candidate)
        elif self._taken < MAX_CANDIDATES:
            self._taken += 1
            self._on_candidate(candidate)
            task = asyncio.create_task(self._add(candidate, self._mid))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def begin(self, mid: str) -> None:
        """Add the kept candidates: the description was applied, with this `mid`."""
        self._mid = mid
        early, self._early = self._early, []
        for candidate in early:
            self.take(candidate)

    async def close(self) -> None:
        """Stop the lookups."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._resolver is not None:
            await self._resolver.close()

    async def _add(self, candidate: Candidate, mid: str) -> None:
        address: str | None = candidate.address
        if is_mdns_name(candidate.address):
            address = await self._resolve(candidate.address)
        if address is None:
            return
        try:
            await self._pc.addIceCandidate(
                RTCIceCandidate(
                    component=1,
                    foundation=candidate.foundation,
                    ip=address,
                    port=candidate.port,
                    priority=candidate.priority,
                    protocol="udp",
                    type=candidate.type,
                    sdpMid=mid,
                    sdpMLineIndex=0,
                )
            )
        except _ERRORS as error:
            logger.info("ignoring a candidate: %s", error)

    async def _resolve(self, name: str) -> str | None:
        """Return the address of a `.local` name; None if it cannot be resolved.

        The peer may still reach us, which reveals its address.
        """
        self._names.add(name)
        if self._relay_only or len(self._names) > MAX_NAMES:
            return None
        if self._resolver is None:
            self._resolver = MdnsResolver(self._addresses())
        return await self._resolver.resolve(name)
