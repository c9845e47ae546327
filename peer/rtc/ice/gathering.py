"""Gathering of our ICE candidates, from every listed STUN and TURN server in parallel.

aiortc passes the first STUN and the first TURN server of a list to aioice, and aioice waits 5 s for
a dead one before there is an offer. Here all STUN servers are asked in parallel from the host
sockets, and the description contains the candidates found within a short time. Later ones are
signaled after the description (trickle ICE, RFC 8838).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from aioice import Candidate, stun, turn
from aioice.candidate import candidate_foundation, candidate_priority

from .agent import IceConnection, IceProtocol
from .interfaces import default_interfaces, interface_names, ordered
from .racing import race
from .relay import HEAD_START, allocate
from .servers import Endpoint, look_up

__all__ = ["Gatherer", "GatheringTimes"]

logger = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "::1")
HIGHEST = 65535
"""The local preference of the best address (RFC 8445, 5.1.2.1)."""
CARRIER_HEAD_START = 0.3
"""Seconds that TURN over UDP gets before TCP, and TCP before TLS."""
OTHERS = 1.0
"""Seconds to wait for answers to other sockets after the first answer of a STUN server."""
FORESEEN = (OSError, stun.TransactionError, KeyError)
"""Errors of requests to a dead server, or to a host that is not a server."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheringTimes:
    """Time limits for servers, seconds.

    Attributes:
        grace: Time before the description is made without those that have not answered.
        relay: The same, when only relayed candidates may be used.
        limit: Time before a server that has not answered is given up.
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
        hide_hosts: bool = False,
        on_late_candidate: Callable[[Candidate], None],
        times: GatheringTimes,
    ) -> None:
        """Prepare.

        Args:
            ice: The connection whose candidates are gathered.
            stun_servers: Endpoints for server-reflexive candidates.
            turn_servers: Endpoints for a relayed candidate; the first that answers is used.
            relay_only: Offer only the relayed address.
            hide_hosts: Offer no address of this host's interfaces.
            on_late_candidate: Called with candidates found after the description was made.
            times: Time limits for servers.
        """
        self._ice = ice
        self._stun = stun_servers
        self._turn = turn_servers
        self._relay_only = relay_only
        self._hide_hosts = hide_hosts
        self._on_late_candidate = on_late_candidate
        self._times = times
        self._hosts: list[IceProtocol] = []
        self._own: asyncio.Task[None] | None = None
        self._bridges: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._found: list[Candidate] = []
        self._described = False
        self.problems: list[str] = []
        """Failures of servers, one sentence each, for people."""
        self.addresses: list[str] = []
        """Host addresses used for candidates."""

    @property
    def pending(self) -> bool:
        """Whether requests to servers are outstanding."""
        return any(not task.done() for task in self._tasks)

    async def gather(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[Candidate]:
        """Gather candidates, with aioice's signature."""
        if not addresses and not self._relay_only:
            addresses = list(LOOPBACK)  # a host without other addresses: two programs on it
        self.addresses, self._bridges = ordered(addresses, interface_names(), default_interfaces())
        # A socket that is being opened is not listed yet: a cancellation must not lose it.
        self._own = asyncio.create_task(self._open_all(component), name="own sockets")
        await asyncio.shield(self._own)
        for endpoint in self._stun if not self._relay_only else ():
            self._start(self._ask_stun(endpoint), endpoint.url)
        if self._turn:
            self._start(self._ask_turn(component), "TURN")
        await self._wait()
        self._described = True
        hosts = [] if self._hide_hosts else [protocol.local_candidate for protocol in self._hosts]
        return hosts + self._found

    async def finished(self) -> None:
        """Wait until every server has answered or timed out."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Stop requests; sockets and allocations belong to the connection, which ends them."""
        for task in self._tasks:
            task.cancel()
        running = self._tasks if self._own is None else {*self._tasks, self._own}
        if running:
            await asyncio.wait(running)

    async def _open_all(self, component: int) -> None:
        for n, address in enumerate(self.addresses):
            await self._open(component, address, HIGHEST - n)

    async def _open(self, component: int, address: str, preference: int) -> None:
        """Open a socket on a host address (RFC 8445, 5.1.1.1)."""
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: IceProtocol(self._ice), local_addr=(address, 0)
            )
        except OSError as error:
            logger.info("no socket on %s: %s", address, error)
            return
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, turn.UDP_SOCKET_BUFFER_SIZE
        )
        host, port = transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host", preference),
            host=host,
            port=port,
            type="host",
        )
        self._hosts.append(protocol)
        self._ice._protocols.append(protocol)

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + (self._times.relay if self._relay_only else self._times.grace)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                while self.pending and not self._satisfied():
                    self._news.clear()
                    await self._news.wait()

    def _satisfied(self) -> bool:
        """Return whether each kind of server has returned a candidate; a second adds little."""
        kinds = {candidate.type for candidate in self._found}
        wanted = set()
        if self._stun and not self._relay_only:
            wanted.add("srflx")
        if self._turn:
            wanted.add("relay")
        return wanted <= kinds

    def _start(self, asking: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(asking, name=f"ask {name}")
        task.add_done_callback(lambda _: self._news.set())
        self._tasks.add(task)

    async def _bounded(self, endpoint: Endpoint, asking: Coroutine[Any, Any, Result]) -> Result:
        """Ask one server within the time limit, and record a failure.

        Raises:
            OSError: It failed.
        """
        try:
            async with asyncio.timeout(self._times.limit):
                return await asking
        except TimeoutError:
            problem = "does not answer"
        except stun.TransactionFailed as error:
            code, reason = error.response.attributes.get("ERROR-CODE", (0, ""))
            problem = f"refuses: {code} {reason}".rstrip()
        except (OSError, stun.TransactionError, ValueError, KeyError) as error:
            problem = f"does not work: {error}"
        problem = f"{endpoint.url} {problem}"
        if problem not in self.problems:
            self.problems.append(problem)
            logger.info("%s", problem)
        raise OSError(problem)

    def _use(self, candidate: Candidate) -> None:
        # Several servers, or one asked twice, return the same address.
        known = [*self._ice.local_candidates, *self._found]
        if not self._hide_hosts:
            known += [protocol.local_candidate for protocol in self._hosts]
        if any((c.host, c.port) == (candidate.host, candidate.port) for c in known):
            return
        self._found.append(candidate)
        self._news.set()
        if self._described:
            self._ice._local_candidates.append(candidate)
            self._on_late_candidate(candidate)

    async def _ask_stun(self, endpoint: Endpoint) -> None:
        """Gather the server-reflexive candidates of our sockets (RFC 8445, 5.1.1.2)."""
        with contextlib.suppress(OSError):
            await self._bounded(endpoint, self._ask_from_all(endpoint))

    async def _ask_from_all(self, endpoint: Endpoint) -> None:
        """Ask from each socket of a suitable family; one answer suffices.

        Raises:
            OSError: No address of the server has a family of ours.
            aioice.stun.TransactionError: No socket has received an answer.
        """
        addresses = await look_up(endpoint.host)
        asking = [
            asyncio.create_task(self._ask_from(protocol, reachable, endpoint.port))
            for protocol in self._askers()
            if (reachable := [a for a in addresses if (":" in a) is protocol.is_ipv6])
        ]
        try:
            if not asking:
                raise OSError("it has no address that can be reached from here")
            unanswered = set(asking)
            while unanswered and not any(_has_answer(task) for task in asking):
                _, unanswered = await asyncio.wait(unanswered, return_when=asyncio.FIRST_COMPLETED)
            # Requests from other sockets, for example through a VPN, may be lost silently.
            if unanswered:
                await asyncio.wait(unanswered, timeout=OTHERS)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        ended = [task for task in asking if not task.cancelled()]
        errors = [error for task in ended if (error := task.exception()) is not None]
        unforeseen = [error for error in errors if not isinstance(error, FORESEEN)]
        if unforeseen or not any(_has_answer(task) for task in asking):
            raise (unforeseen or errors)[0]

    def _askers(self) -> list[IceProtocol]:
        """Return the sockets that may have server-reflexive addresses: not those of bridges."""
        outside = [p for p in self._hosts if p.local_candidate.host not in self._bridges]
        return outside or self._hosts

    async def _ask_from(self, protocol: IceProtocol, addresses: list[str], port: int) -> None:
        def ask(address: str) -> Coroutine[Any, Any, tuple[str, int]]:
            return _ask(protocol, (address, port))

        host, seen_port = await race(
            [(HEAD_START, partial(ask, address)) for address in addresses], foreseen=FORESEEN
        )
        local = protocol.local_candidate
        related = _hidden(local.host) if self._hide_hosts else (local.host, local.port)
        self._use(
            Candidate(
                foundation=candidate_foundation("srflx", "udp", local.host),
                component=local.component,
                transport="udp",
                priority=candidate_priority(local.component, "srflx", local_preference(local)),
                host=host,
                port=seen_port,
                type="srflx",
                related_address=related[0],
                related_port=related[1],
            )
        )

    async def _ask_turn(self, component: int) -> None:
        """Allocate an address on the first TURN server that answers (RFC 8656, 7).

        Servers over UDP get a head start: through TCP, a lost packet delays all that follow.
        """
        attempts: list[tuple[float, Callable[[], Coroutine[Any, Any, IceProtocol]]]] = []
        previous = -1
        for endpoint in sorted(self._turn, key=_cost):
            head_start = HEAD_START if _cost(endpoint) == previous else CARRIER_HEAD_START
            previous = _cost(endpoint)
            attempts.append((head_start, partial(self._allocate, endpoint, component)))
        with contextlib.suppress(OSError):
            relay = await race(attempts, discard=lambda protocol: protocol.transport.close())
            self._ice._protocols.append(relay)
            self._use(relay.local_candidate)
            if self._described:
                # Checks may already run: pair the candidates that the peer has signaled so far.
                for remote in self._ice.remote_candidates:
                    self._ice._pair_remote_candidate(remote)
                self._ice.sort_check_list()

    async def _allocate(self, endpoint: Endpoint, component: int) -> IceProtocol:
        relay = await self._bounded(endpoint, allocate(endpoint, self._ice))
        host, port = relay.transport.get_extra_info("sockname")
        related = relay.transport.get_extra_info("related_address")
        if self._relay_only or self._hide_hosts:
            # The related address would reveal the hidden address (RFC 9429, 3.5.3).
            related = _hidden(host)
        relay.local_candidate = Candidate(
            foundation=candidate_foundation("relay", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "relay", HIGHEST >> _cost(endpoint)),
            host=host,
            port=port,
            type="relay",
            related_address=related[0],
            related_port=related[1],
        )
        return relay


def local_preference(candidate: Candidate) -> int:
    """Return the local preference in a candidate's priority (RFC 8445, 5.1.2.1)."""
    return candidate.priority >> 8 & 0xFFFF


def _has_answer(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _ask(protocol: IceProtocol, address: tuple[str, int]) -> tuple[str, int]:
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    response, _ = await protocol.request(request, address)
    seen: tuple[str, int] = response.attributes["XOR-MAPPED-ADDRESS"]
    return seen


def _cost(endpoint: Endpoint) -> int:
    """Return the cost of the transport to the relay: 0 UDP, 1 TCP, 2 TLS."""
    return 2 if endpoint.tls else 1 if endpoint.transport == "tcp" else 0


def _hidden(host: str) -> tuple[str, int]:
    """Return the placeholder for a hidden related address (RFC 8839, 5.1)."""
    return ("::", 9) if ":" in host else ("0.0.0.0", 9)
