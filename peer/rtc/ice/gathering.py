"""Gathering our ICE candidates: every listed STUN and TURN server at once, none waited for.

aiortc hands aioice the first STUN and the first TURN server of a list and drops the rest, and
aioice waits five seconds for one that is dead before there is an offer. Here the addresses
of this machine are known at once, all STUN servers are asked in parallel from those same sockets,
and what has answered within a moment goes into the description. What comes later is still
used: it is sent after the description as a candidate of its own (trickle, RFC 8838).
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
"""The local preference of the best address (RFC 8445 section 5.1.2.1)."""
CARRIER_HEAD_START = 0.3
"""Seconds that TURN over UDP gets before TCP, and TCP before TLS."""
OTHERS = 1.0
"""Seconds that a STUN server's answers to our other sockets get after one has its own."""
FORESEEN = (OSError, stun.TransactionError, KeyError)
"""What comes of asking a server that is dead, or none."""

Result = TypeVar("Result")


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
        hide_hosts: bool = False,
        on_late_candidate: Callable[[Candidate], None],
        times: GatheringTimes,
    ) -> None:
        """Prepare.

        Args:
            ice: whose candidates are gathered.
            stun_servers: endpoints that are asked for the address that others see.
            turn_servers: of these, the first that answers relays for us.
            relay_only: show nothing but the relayed address.
            hide_hosts: show no address of this machine's own interfaces.
            on_late_candidate: told candidates that are found after the description was made.
            times: how long servers are waited for.
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
        self.addresses, self._bridges = ordered(addresses, interface_names(), default_interfaces())
        # A socket that is being opened is in nobody's list: it must not be lost to a cancellation.
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

    async def _open_all(self, component: int) -> None:
        for n, address in enumerate(self.addresses):
            await self._open(component, address, HIGHEST - n)

    async def _open(self, component: int, address: str, preference: int) -> None:
        """Open a socket on one of our own addresses (RFC 8445 section 5.1.1.1)."""
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
        """Whether each kind of server has given a candidate: a second adds little."""
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
        """Ask one server; a failure is noted.

        Raises:
            OSError: it failed, in whatever way.
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
        # Two servers, or one asked twice, see the same address of ours.
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
        """Learn the addresses that others see our sockets under (RFC 8445 section 5.1.1.2)."""
        with contextlib.suppress(OSError):
            await self._bounded(endpoint, self._ask_from_all(endpoint))

    async def _ask_from_all(self, endpoint: Endpoint) -> None:
        """Ask from each socket that may lead to the server; one answer is enough.

        Raises:
            OSError: no address of the server's is of a family of ours.
            aioice.stun.TransactionError: no socket of ours has got an answer.
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
            # What is asked from elsewhere, through a VPN say, may be lost without a word.
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
        """The sockets whose addresses others may see differently: not those of bridges."""
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
        """Get an address on the first TURN server that answers (RFC 8656 section 7).

        Those over UDP get a head start: through TCP, a lost packet holds up all that follow.
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
                # Checks may run already: pair what the other side has told so far.
                for remote in self._ice.remote_candidates:
                    self._ice._pair_remote_candidate(remote)
                self._ice.sort_check_list()

    async def _allocate(self, endpoint: Endpoint, component: int) -> IceProtocol:
        relay = await self._bounded(endpoint, allocate(endpoint, self._ice))
        host, port = relay.transport.get_extra_info("sockname")
        related = relay.transport.get_extra_info("related_address")
        if self._relay_only or self._hide_hosts:
            # The related address would show what the policy hides (RFC 9429 section 3.5.3).
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
    """What tells a candidate's priority from those of its type (RFC 8445 section 5.1.2.1)."""
    return candidate.priority >> 8 & 0xFFFF


def _has_answer(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _ask(protocol: IceProtocol, address: tuple[str, int]) -> tuple[str, int]:
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    response, _ = await protocol.request(request, address)
    seen: tuple[str, int] = response.attributes["XOR-MAPPED-ADDRESS"]
    return seen


def _cost(endpoint: Endpoint) -> int:
    """Of what lies between us and the relay: 0 UDP, 1 TCP, 2 TLS."""
    return 2 if endpoint.tls else 1 if endpoint.transport == "tcp" else 0


def _hidden(host: str) -> tuple[str, int]:
    """What stands in the place of a related address (RFC 8839 section 5.1)."""
    return ("::", 9) if ":" in host else ("0.0.0.0", 9)
