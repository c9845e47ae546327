"""aioice's connection and its sockets, made fit for what strangers send.

Each datagram is looked at (`datagrams`) before aioice or OpenSSL reads it; DTLS counts only from
an address that is a candidate of the other side, told by it or learned from a check that carries
our password. What such checks make aioice keep is bounded: who has seen one of them can repeat it
from any source address (its integrity covers none).
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
"""Seconds since the last answer (RFC 7675 section 5.1)."""
CONSENT_REPEATS = 2
"""Of each request, aioice's own count: it has 3.5 s to be answered, and several chances."""
DOUBT_PAUSE = 1.0
"""Seconds from an answer to the next question that a doubt brings about."""
COMPONENT = 1
"""The only one there is: everything goes over one socket (RFC 8843)."""
MAX_PAIRS = 100
"""Pairs that are checked (RFC 8445 section 6.1.2.5 gives this number)."""
MAX_REFLEXIVE = 16
"""Candidates of the other side that nobody told us; a newer one takes the place of the oldest."""
MAX_QUEUED = 4096
"""DTLS datagrams that wait for aiortc; more are dropped as a full socket would drop them. A stream
of a TURN server brings some hundreds at once, thousands of small ones."""

MAX_FORGED = 200
"""Checks that name us and lack our password; after so many, none from an address unknown is read
until the second is over."""


class IceConnection(AioiceConnection):
    """An aioice connection of one component whose lists are bounded."""

    _known: frozenset[tuple[str, int]] = frozenset()
    _doubt = ""
    _doubted: asyncio.Event | None = None
    lost_because = ""
    """Why the connection was given up, for people; empty if it is not known."""

    def knows(self, address: tuple[Any, ...]) -> bool:
        """Whether a socket address is a candidate of the other side."""
        return address[:2] in self._known

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be read that more must be dropped."""
        return self._queue.qsize() >= MAX_QUEUED

    def doubt(self, protocol: StunProtocol, reason: str) -> None:
        """Something says that nothing gets through a socket any more: ask the other side at once.

        No more than a question, since anybody can write the ICMP message that says so.
        """
        in_use = any(pair.protocol is protocol for pair in self._nominated.values())
        if in_use and self._doubted is not None and not self._doubt:
            self._doubt = reason
            self._doubted.set()

    async def lose(self, reason: str) -> None:
        """The connection is lost, and this is why."""
        self.lost_because = reason
        await self.close()

    async def query_consent(self) -> None:
        """Ask again and again whether we may go on to send (RFC 7675).

        On the controlling side with USE-CANDIDATE, unlike aioice: where a NAT in between gives
        us another address, the other side learns a new pair by this request, and uses it only
        if it is nominated.
        """
        if self._closing:
            return  # closed while the checks that have led here were ending
        assert self.remote_password is not None, "checks have been made"
        loop = asyncio.get_running_loop()
        self._doubted = asyncio.Event()
        agreed_at = loop.time()
        while loop.time() - agreed_at < CONSENT_EXPIRES:
            # Between 0.8 and 1.2 times, so that many connections do not ask at once.
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
                        retransmissions=CONSENT_REPEATS,
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
        """Refuse a request; in silence if it is a stranger's.

        RFC 8489 section 9.1.3 wants an answer to those, too, which makes whoever is named
        as the source get more bytes than were sent.
        """
        if error_code[0] in (400, 401):
            cast(IceProtocol, protocol).forged()
        else:
            super().respond_error(request, addr, protocol, error_code)

    def check_incoming(
        self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol
    ) -> None:
        """Take a check that carries our password."""
        if "PRIORITY" not in message.attributes:
            return  # RFC 8445 section 7.1.1 demands it, and aioice expects it
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
        """Make room for one more candidate that nobody told us."""
        used = {pair.remote_candidate for pair in self._nominated.values()}
        learned = [c for c in self._remote_candidates if c.type == "prflx" and c not in used]
        for candidate in learned[: max(0, len(learned) + 1 - MAX_REFLEXIVE)]:
            self._remote_candidates.remove(candidate)
            for pair in [p for p in self._check_list if p.remote_candidate is candidate]:
                self._forget(pair)
        self._learn()

    def _forget_pairs(self, limit: int) -> None:
        """Keep `limit` pairs: failed ones go first, then those not checked yet, worst first."""
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
    """Turn the connection that aiortc has just made for itself into one of ours.

    aiortc makes it deep inside and takes no other; it has no state yet that ours would lack.
    """
    ice.__class__ = IceConnection
    return cast(IceConnection, ice)


class IceProtocol(StunProtocol):
    """One socket of an `IceConnection`; of datagrams, it lets through what has a known shape."""

    receiver: IceConnection

    _second = 0
    _forged = 0
    """Checks without our password in that second."""

    @property
    def is_ipv6(self) -> bool:
        """Whether its own address is one of IPv6."""
        return ":" in self.local_candidate.host

    @property
    def own_address(self) -> str | None:
        """The address of this machine that its packets leave from, relayed or not."""
        carrier = getattr(self.transport, "carrier", self.transport)
        name = carrier.get_extra_info("sockname")
        return str(name[0]) if name else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol.connection_made`."""
        super().connection_made(transport)
        retransmit_requests(self)

    def refused(self, address: tuple[Any, ...]) -> None:
        """The machine at an address says that nothing listens there."""
        pairs = self.receiver._nominated.values()
        if any(pair.protocol is self and pair.remote_addr == address[:2] for pair in pairs):
            self.receiver.doubt(self, "The program at the other end has stopped.")

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Take a datagram from anybody; raises nothing, whatever it is."""
        data = cast(bytes, data)
        kind = stun_class(data)
        if kind is not None:
            if self._concerns_us(kind, data, addr) and is_stun(data):
                self._take_stun(data, addr)
        elif self.receiver.knows(addr) and is_records(data) and not self.receiver.is_full:
            self.receiver.data_received(data, COMPONENT)

    def _concerns_us(self, kind: StunClass, data: bytes, addr: tuple[Any, ...]) -> bool:
        """Whether to read a STUN message at all: a flood of what does not costs little.

        A check names us (RFC 8445 section 7.2.2), an answer the question.
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
        """A check lacked our password."""
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
            # The seam between strangers and aioice. An error would go on into the event loop,
            # which loses the socket over it (uvloop) or prints it once for each such datagram.
            logger.debug("aioice cannot take a STUN message", exc_info=True)
