"""Two SCTP associations over an emulated link, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import TypeVar

from lab.link import Link
from peer.sctp import Association, Event, SctpConfig
from peer.sctp.control.stream_reset import StreamReset
from peer.sctp.tcb import TransmissionControlBlock
from peer.sctp.wire.chunks import ChunkType
from peer.sctp.wire.packet import split_chunks

__all__ = ["AssociationPair", "Direction", "End", "drop_first", "has", "kinds"]

E = TypeVar("E")


_SUPPORTED = frozenset({"delay", "jitter", "loss", "duplicate", "corrupt", "mtu"})


@dataclass(slots=True)
class Direction:
    """One direction of the link, which may change under way."""

    link: Link
    drop: Callable[[bytes], bool] | None = None
    """Decides about each datagram; true drops it."""

    def __post_init__(self) -> None:
        self.link.require("AssociationPair", _SUPPORTED)

    def change(self, **fields: float | None) -> None:
        """Change fields of the link for the datagrams that are sent from now on."""
        self.link = replace(self.link, **fields)  # type: ignore[arg-type]
        self.link.require("AssociationPair", _SUPPORTED)


@dataclass
class End:
    """One association, its events and its datagrams so far."""

    association: Association
    events: list[Event] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    """Every datagram that it has sent."""
    reads: bool = True
    """Whether messages are consumed when they arrive."""

    @property
    def tcb(self) -> TransmissionControlBlock:
        """The transmission control block of the established association."""
        tcb = self.association._context.tcb
        assert tcb is not None
        return tcb

    @property
    def stream_reset(self) -> StreamReset:
        """Stream reset of the established association."""
        stream_reset = self.tcb.stream_reset
        assert stream_reset is not None
        return stream_reset

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind, oldest first."""
        return [event for event in self.events if isinstance(event, kind)]


class AssociationPair:
    """Associations ``a`` (DTLS client) and ``z`` over two links, in virtual time."""

    def __init__(
        self, config: SctpConfig | None = None, *, z_config: SctpConfig | None = None,
        link: Link | None = None, seed: int = 1,
    ) -> None:  # fmt: skip
        config = config or SctpConfig()
        z_config = z_config or config
        self.random = random.Random(seed)
        self.now = 100.0
        self.a = self._make_end(replace(config, client=True))
        self.z = self._make_end(replace(z_config, client=False))
        link = link or Link(delay=0.01)
        self.a_to_z = Direction(link)
        self.z_to_a = Direction(link)
        self._queue: list[tuple[float, int, End, bytes]] = []
        self._count = 0

    def _make_end(self, config: SctpConfig) -> End:
        source = random.Random(self.random.random())
        return End(Association(config, random=source.randbytes))

    def connect(self) -> None:
        """Let both initiate, as WebRTC does, and run until both are established."""
        self.a.association.connect(self.now)
        self.z.association.connect(self.now)
        self.drive(until=lambda: self.established)

    @property
    def established(self) -> bool:
        """Whether both ends are established."""
        return all(end.association.state.value == "established" for end in (self.a, self.z))

    def flush(self, end: End) -> None:
        """Send the datagrams of an end, and collect its events."""
        direction = self.a_to_z if end is self.a else self.z_to_a
        target = self.z if end is self.a else self.a
        for _ in range(10_000):
            datagrams = end.association.datagrams_to_send(self.now)
            if not datagrams:
                break
            for datagram in datagrams:
                end.sent.append(datagram)
                self._carry(direction, target, datagram)
        else:
            raise AssertionError("an association sends without end")
        while (event := end.association.next_event()) is not None:
            end.events.append(event)
            size = getattr(event, "size", 0)
            if end.reads and size:
                end.association.consume(getattr(event, "stream_id", 0), size)

    def _carry(self, direction: Direction, target: End, datagram: bytes) -> None:
        chance = self.random.random
        link = direction.link
        if direction.drop is not None and direction.drop(datagram):
            return
        if chance() < link.loss or (link.mtu is not None and len(datagram) > link.mtu):
            return
        for _ in range(2 if chance() < link.duplicate else 1):
            carried = datagram
            if chance() < link.corrupt:
                broken = bytearray(datagram)
                broken[self.random.randrange(len(broken))] ^= 1 << self.random.randrange(8)
                carried = bytes(broken)
            self._count += 1
            at = self.now + link.delay + link.jitter * chance()
            heappush(self._queue, (at, self._count, target, carried))

    def step(self) -> bool:
        """Advance to the next event; return whether there is one."""
        for end in (self.a, self.z):
            self.flush(end)
        moments = [end.association.get_timer() for end in (self.a, self.z)]
        times = [moment for moment in moments if moment is not None]
        if self._queue:
            times.append(self._queue[0][0])
        if not times:
            return False
        self.now = max(self.now, min(times))
        for end in (self.a, self.z):
            batch = []
            while self._queue and self._queue[0][0] <= self.now and self._queue[0][2] is end:
                batch.append(heappop(self._queue)[3])
            if batch:
                end.association.receive_datagrams(batch, self.now)
            end.association.handle_timer(self.now)
        return True

    def drive(
        self, *, until: Callable[[], bool] | None = None, seconds: float = 600.0,
        steps: int = 200_000,
    ) -> None:  # fmt: skip
        """Run in virtual time.

        Args:
            until: Stop when true; without it, run for ``seconds`` or until nothing is due.
            seconds: Virtual time allowed; with ``until``, exceeding it is a failure (a stall).
            steps: Moments allowed; exceeding them is a failure (a livelock).
        """
        end = self.now + seconds
        for _ in range(steps):
            for side in (self.a, self.z):
                self.flush(side)
            if until is not None and until():
                return
            if self.now >= end:
                break
            if not self.step():
                break
        else:
            raise AssertionError(f"still busy after {steps} steps")
        if until is not None and not until():
            raise AssertionError(f"it did not happen within {seconds} virtual seconds")


def kinds(datagram: bytes) -> list[ChunkType | int]:
    """Return the chunk types in a datagram, in order."""
    known = set(ChunkType)
    return [ChunkType(c.kind) if c.kind in known else c.kind for c in split_chunks(datagram)]


def has(kind: ChunkType) -> Callable[[bytes], bool]:
    """Return a predicate: the datagram has a chunk of this type."""
    return lambda datagram: kind in kinds(datagram)


def drop_first(count: int, kind: ChunkType) -> Callable[[bytes], bool]:
    """Return a ``Direction.drop`` that drops the first datagrams with a chunk of this type."""
    left = [count]

    def drop(datagram: bytes) -> bool:
        if left[0] and kind in kinds(datagram):
            left[0] -= 1
            return True
        return False

    return drop
