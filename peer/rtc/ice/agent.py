"""aioice's connection and its sockets, hardened against datagrams of strangers.

Each datagram is checked (`demultiplexing`) before aioice or OpenSSL reads it. DTLS is accepted only
from a candidate address of the peer, signaled or learned from a check with our password. The state
that such checks create in aioice is bounded: anyone who has seen one can replay it from any source
address, which its integrity does not cover.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from typing import Any, cast

from aioice import Candidate, stun
from aioice import Connection as AioiceConnection
from aioice.ice import CONSENT_INTERVAL, CandidatePair, StunProtocol

from peer.rtc.demultiplexing import StunClass, is_records, is_stun, stun_class
from peer.rtc.setup_retransmission import retransmit_requests

__all__ = ["IceConnection", "IceProtocol", "adopt"]

logger = logging.getLogger(__name__)

CONSENT_EXPIRES = 30.0
"""Seconds since the last answer (RFC 7675, 5.1)."""
CONSENT_RETRANSMISSIONS = 2
"""Retransmissions of each request, in aioice's count: 3.5 s for an answer."""
DOUBT_PAUSE = 1.0
"""Seconds from an answer to the next request that a doubt causes."""
COMPONENT = 1
"""The only component: all packets share one socket (RFC 8843)."""
MAX_PAIRS = 100
"""Pairs that are checked (RFC 8445, 6.1.2.5)."""
MAX_REFLEXIVE = 16
"""Peer-reflexive candidates; a newer one replaces the oldest."""
MAX_QUEUED = 4096
"""DTLS datagrams that wait for aiortc; more are dropped, as by a full socket. The stream of a TURN
server delivers some hundreds at once, or thousands of small ones."""

MAX_FORGED = 200
"""Checks per second with our user name and without our password, after which checks from unknown
addresses are ignored for the rest of the second."""


class IceConnection(AioiceConnection):
    """An aioice connection of one component, with bounded lists."""

    _known: frozenset[tuple[str, int]] = frozenset()
    _doubt = ""
    _doubted: asyncio.Event | None = None
    lost_because = ""
    """Reason of the loss, for people; empty if unknown."""

    def knows(self, address: tuple[Any, ...]) -> bool:
        """Return whether a socket address is a candidate of the peer."""
        return address[:2] in self._known

    @property
    def is_full(self) -> bool:
        """Whether the queue is full, so that datagrams must be dropped."""
        return self._queue.qsize() >= MAX_QUEUED

    def doubt(self, protocol: StunProtocol, reason: str) -> None:
        """Check consent at once: an ICMP message says that a socket no longer reaches the peer.

        It only triggers a check, because anyone can forge the ICMP message.
        """
        in_use = any(pair.protocol is protocol for pair in self._nominated.values())
        if in_use and self._doubted is not None and not self._doubt:
            self._doubt = reason
            self._doubted.set()

    async def lose(self, reason: str) -> None:
        """Close the connection as lost, with the reason."""
        self.lost_because = reason
        await self.close()

    async def query_consent(self) -> None:
        """Check consent at intervals (RFC 7675).

        The controlling side adds USE-CANDIDATE, unlike aioice: when a NAT changes our address, the
        peer learns a new pair from this request, and uses it only if it is nominated.
        """
        if self._closing:
            return  # closed while the last checks were ending
        assert self.remote_password is not None, "checks have been made"
        loop = asyncio.get_running_loop()
        self._doubted = asyncio.Event()
        agreed_at = loop.time()
        while loop.time() - agreed_at < CONSENT_EXPIRES:
            # Between 0.8 and 1.2 times the interval, so that connections are not in step.
            interval = CONSENT_INTERVAL * (0.8 + 0.4 * random.random())
            self._doubt = ""
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._doubted.wait()
            self._doubted.clear()
            if self._doubt:
                await asyncio.sleep(max(0.0, agreed_at + DOUBT_PAUSE - loop.time()))
            for pair in list(self._nominated.values()):
                try:
                    await pair.protocol.request(
                        self.build_request(pair, nominate=self.ice_controlling),
                        pair.remote_addr,
                        integrity_key=self.remote_password.encode(),
                        retransmissions=CONSENT_RETRANSMISSIONS,
                    )
                except stun.TransactionError:
                    if self._doubt:
                        agreed_at = -math.inf
                else:
                    agreed_at = loop.time()
        logger.info("%s: the other side has not agreed to what we send for long", self)
        self._query_consent_task = None
        await self.lose(self._doubt)

    def respond_error(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        protocol: StunProtocol,
        error_code: tuple[int, str],
    ) -> None:
        """Reject a request; silently if it lacks our password.

        RFC 8489, 9.1.3 requires an answer to those, too, which would send more bytes to a forged
        source address than were received.
        """
        if error_code[0] in (400, 401):
            cast(IceProtocol, protocol).forged()
        else:
            super().respond_error(request, addr, protocol, error_code)

    def check_incoming(
        self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol
    ) -> None:
        """Process a check with our password."""
        if "PRIORITY" not in message.attributes:
            return  # RFC 8445, 7.1.1 requires it, and aioice expects it
        known = self.knows(addr)
        if not known:
            self._forget_reflexive()
        candidate = next(
            (c for c in self._remote_candidates if (c._network_host, c.port) == addr), None
        )
        if candidate is None or self._find_pair(protocol, candidate) is None:
            self._forget_pairs(MAX_PAIRS - 1)
            if len(self._check_list) >= MAX_PAIRS:
                return
        super().check_incoming(message, addr, protocol)
        if not known:
            self._learn()

    def _add_remote_candidate(self, remote_candidate: Candidate, network_host: str) -> None:
        super()._add_remote_candidate(remote_candidate, network_host)
        self._learn()

    def _pair_remote_candidate(self, remote_candidate: Candidate) -> None:
        super()._pair_remote_candidate(remote_candidate)
        if len(self._check_list) > MAX_PAIRS:
            self.sort_check_list()
            self._forget_pairs(MAX_PAIRS)

    def _learn(self) -> None:
        self._known = frozenset((c._network_host, c.port) for c in self._remote_candidates)

    def _forget_reflexive(self) -> None:
        """Make room for one more peer-reflexive candidate."""
        used = {pair.remote_candidate for pair in self._nominated.values()}
        learned = [c for c in self._remote_candidates if c.type == "prflx" and c not in used]
        for candidate in learned[: max(0, len(learned) + 1 - MAX_REFLEXIVE)]:
            self._remote_candidates.remove(candidate)
            for pair in [p for p in self._check_list if p.remote_candidate is candidate]:
                self._forget(pair)
        self._learn()

    def _forget_pairs(self, limit: int) -> None:
        """Keep `limit` pairs: drop failed ones first, then unchecked ones, worst first."""
        states = CandidatePair.State
        for state in (states.FAILED, states.FROZEN, states.WAITING):
            for pair in [p for p in reversed(self._check_list) if p.state is state]:
                if len(self._check_list) <= limit:
                    return
                self._forget(pair)

    def _forget(self, pair: CandidatePair) -> None:
        if pair.task is not None:
            pair.task.cancel()
        self._check_list.remove(pair)


def adopt(ice: AioiceConnection) -> IceConnection:
    """Turn the connection that aiortc has just created into one of ours.

    aiortc creates it internally and accepts no other; it has no state yet that ours lacks.
    """
    ice.__class__ = IceConnection
    return cast(IceConnection, ice)


class IceProtocol(StunProtocol):
    """One socket of an `IceConnection`; it accepts datagrams of known formats only."""

    receiver: IceConnection

    _second = 0
    _forged = 0
    """Checks without our password in this second."""

    @property
    def is_ipv6(self) -> bool:
        """Whether its address is an IPv6 address."""
        return ":" in self.local_candidate.host

    @property
    def own_address(self) -> str | None:
        """Source address of its packets on this host, relayed or not."""
        carrier = getattr(self.transport, "carrier", self.transport)
        name = carrier.get_extra_info("sockname")
        return str(name[0]) if name else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Retransmit requests sooner on the new transport."""
        super().connection_made(transport)
        retransmit_requests(self)

    def refused(self, address: tuple[Any, ...]) -> None:
        """Handle an ICMP port unreachable of an address."""
        pairs = self.receiver._nominated.values()
        if any(pair.protocol is self and pair.remote_addr == address[:2] for pair in pairs):
            self.receiver.doubt(self, "The program at the other end has stopped.")

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Process a datagram of any sender, without raising."""
        data = cast(bytes, data)
        kind = stun_class(data)
        if kind is not None:
            if self._concerns_us(kind, data, addr) and is_stun(data):
                self._take_stun(data, addr)
        elif self.receiver.knows(addr) and is_records(data) and not self.receiver.is_full:
            self.receiver.data_received(data, COMPONENT)

    def _concerns_us(self, kind: StunClass, data: bytes, addr: tuple[Any, ...]) -> bool:
        """Return whether to parse a STUN message; a flood of others costs little.

        A check carries our user name (RFC 8445, 7.2.2), an answer the id of its request.
        """
        if kind is not StunClass.REQUEST:
            return data[8:20] in self.transactions
        if f"{self.receiver.local_username}:".encode() not in data:
            return False
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._second, self._forged = second, 0
        return self._forged < MAX_FORGED or self.receiver.knows(addr)

    def forged(self) -> None:
        """Count a check without our password."""
        self._forged += 1

    def _take_stun(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            message = stun.parse_message(data)
            if message.message_class is stun.Class.REQUEST:
                self.receiver.request_received(message, (addr[0], addr[1]), self)
            elif message.transaction_id in self.transactions:
                transaction = self.transactions[message.transaction_id]
                transaction.response_received(message, (addr[0], addr[1]))
        except ValueError:
            pass  # an unknown method, a wrong checksum, a name that is not UTF-8
        except Exception:
            # The boundary between strangers and aioice. An error would propagate to the event loop,
            # which loses the socket (uvloop) or prints it for each such datagram.
            logger.debug("aioice cannot take a STUN message", exc_info=True)
