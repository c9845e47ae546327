"""Gathering our ICE candidates: every listed STUN and TURN server at once, none waited for.

aiortc hands aioice the first STUN and the first TURN server of a list and drops the rest, and
aioice waits five seconds for one that is dead before there is an offer. Here the addresses
of this machine are known at once, all servers are asked in parallel from those same sockets,
and what has answered within a moment goes into the description. What comes later is still
used: it is sent after the description as a candidate of its own (trickle, RFC 8838).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from aioice import Candidate, stun, turn
from aioice.candidate import candidate_foundation, candidate_priority

from .ice import IceConnection, IceProtocol
from .relay import allocate
from .servers import Endpoint, look_up

__all__ = ["Gatherer", "GatheringTimes"]

logger = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheringTimes:
    """How long servers are waited for, in seconds.

    Attributes:
        grace: before the description is made without those that have not answered.
        relay: before it, when only relayed candidates may be used: without one there is no point.
        limit: before a server that has not answered is given up.
    """

    grace: float = 0.15
    relay: float = 5.0
    limit: float = 5.0


class Gatherer:
    """Gathers for one aioice connection, in place of its own `get_component_candidates`."""

    def __init__(
        self,
        ice: IceConnection,
        stun_servers: Sequence[Endpoint],
        turn_servers: Sequence[Endpoint],
        *,
        relay_only: bool,
        on_late_candidate: Callable[[Candidate], None],
        times: GatheringTimes,
    ) -> None:
        self._ice = ice
        self._stun = stun_servers
        self._turn = turn_servers
        self._relay_only = relay_only
        self._on_late_candidate = on_late_candidate
        self._times = times
        self._hosts: list[IceProtocol] = []
        self._own: asyncio.Task[list[Candidate]] | None = None
        self._tasks: set[asyncio.Task[Candidate | None]] = set()
        self._found: list[Candidate] = []
        self._described = False
        self.problems: list[str] = []
        """What went wrong with servers, one sentence each, for people."""
        self.addresses: list[str] = []
        """Our own addresses, as used for candidates."""

    @property
    def pending(self) -> bool:
        """Whether servers are still being waited for."""
        return any(not task.done() for task in self._tasks)

    async def gather(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[Candidate]:
        """Gather; the signature is aioice's, which knows nothing of policies and patience."""
        if not addresses and not self._relay_only:
            addresses = list(LOOPBACK)  # a machine that has no other: two programs on it
        self.addresses = addresses
        # A socket that is being opened is in nobody's list: it must not be lost to a cancellation.
        self._own = asyncio.create_task(self._open_all(component, addresses), name="own sockets")
        hosts = await asyncio.shield(self._own)
        protocols = [
            protocol
            for protocol in self._hosts
            if ipaddress.ip_address(protocol.local_candidate.host).version == 4
        ]
        for endpoint in self._stun if not self._relay_only else ():
            for protocol in protocols:
                self._start(endpoint, self._ask_stun(endpoint, protocol))
        for endpoint in self._turn:
            self._start(endpoint, self._ask_turn(endpoint, component))
        await self._wait()
        self._described = True
        return hosts + self._found

    async def finished(self) -> None:
        """Wait until every server has answered or was given up."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Stop asking; sockets and allocations belong to the connection, which ends them."""
        for task in self._tasks:
            task.cancel()
        running = self._tasks if self._own is None else {*self._tasks, self._own}
        if running:
            await asyncio.wait(running)

    async def _open_all(self, component: int, addresses: list[str]) -> list[Candidate]:
        opened = [await self._open(component, address) for address in addresses]
        return [candidate for candidate in opened if candidate is not None]

    async def _open(self, component: int, address: str) -> Candidate | None:
        """Open a socket on one of our own addresses (RFC 8445 section 5.1.1.1)."""
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: IceProtocol(self._ice), local_addr=(address, 0)
            )
        except OSError as error:
            logger.info("no socket on %s: %s", address, error)
            return None
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, turn.UDP_SOCKET_BUFFER_SIZE
        )
        host, port = transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )
        self._hosts.append(protocol)
        self._ice._protocols.append(protocol)
        return protocol.local_candidate

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + (self._times.relay if self._relay_only else self._times.grace)
        while self.pending and not self._satisfied() and loop.time() < end:
            waiting = {task for task in self._tasks if not task.done()}
            await asyncio.wait(
                waiting, timeout=end - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )

    def _satisfied(self) -> bool:
        """Whether each kind of server has given a candidate: a second adds little."""
        kinds = {candidate.type for candidate in self._found}
        wanted = set()
        if self._stun and not self._relay_only:
            wanted.add("srflx")
        if self._turn:
            wanted.add("relay")
        return wanted <= kinds

    def _start(self, endpoint: Endpoint, asking: Coroutine[Any, Any, Candidate]) -> None:
        task = asyncio.create_task(self._bounded(endpoint, asking), name=f"ask {endpoint.url}")
        self._tasks.add(task)

    async def _bounded(
        self, endpoint: Endpoint, asking: Coroutine[Any, Any, Candidate]
    ) -> Candidate | None:
        """Ask one server; a failure is a note, not an error."""
        try:
            async with asyncio.timeout(self._times.limit):
                candidate = await asking
        except TimeoutError:
            self._note(f"{endpoint.url} does not answer")
        except stun.TransactionFailed as error:
            code, reason = error.response.attributes.get("ERROR-CODE", (0, ""))
            self._note(f"{endpoint.url} refuses: {code} {reason}".rstrip())
        except (OSError, stun.TransactionError, ValueError, KeyError) as error:
            self._note(f"{endpoint.url} does not work: {error}")
        else:
            self._use(candidate)
            return candidate
        return None

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
            logger.info("%s", problem)

    def _use(self, candidate: Candidate) -> None:
        # Two servers, or one asked twice, see the same address of ours.
        known = [*self._ice.local_candidates, *self._found]
        if any((c.host, c.port) == (candidate.host, candidate.port) for c in known):
            return
        self._found.append(candidate)
        if self._described:
            self._ice._local_candidates.append(candidate)
            self._on_late_candidate(candidate)

    async def _ask_stun(self, endpoint: Endpoint, protocol: IceProtocol) -> Candidate:
        """Learn the address that others see our socket under (RFC 8445 section 5.1.1.2)."""
        address = await look_up(endpoint.host, endpoint.port, socket.AF_INET)
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        response, _ = await protocol.request(request, address)
        host, port = response.attributes["XOR-MAPPED-ADDRESS"]
        local = protocol.local_candidate
        return Candidate(
            foundation=candidate_foundation("srflx", "udp", local.host),
            component=local.component,
            transport="udp",
            priority=candidate_priority(local.component, "srflx"),
            host=host,
            port=port,
            type="srflx",
            related_address=local.host,
            related_port=local.port,
        )

    async def _ask_turn(self, endpoint: Endpoint, component: int) -> Candidate:
        """Get an address on a TURN server (RFC 8656 section 7)."""
        relay = await allocate(endpoint, self._ice)
        host, port = relay.transport.get_extra_info("sockname")
        related = relay.transport.get_extra_info("related_address")
        if self._relay_only:
            # The related address would show what the policy hides (RFC 9429 section 3.5.3).
            version = ipaddress.ip_address(host).version
            related = ("0.0.0.0", 9) if version == 4 else ("::", 9)
        relay.local_candidate = Candidate(
            foundation=candidate_foundation("relay", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "relay"),
            host=host,
            port=port,
            type="relay",
            related_address=related[0],
            related_port=related[1],
        )
        self._ice._protocols.append(relay)
        if self._described:
            # Checks may run already: pair what the other side has told so far.
            for remote in self._ice.remote_candidates:
                self._ice._pair_remote_candidate(remote)
            self._ice.sort_check_list()
        return relay.local_candidate
