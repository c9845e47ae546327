"""Parameters of one side, as in its INIT or INIT ACK (RFC 9260, 3.3.2 and 3.3.3).

A session description may carry the chunk as ``a=sctp-init``: then each side knows the parameters of
the other before there is a path, and the handshake is skipped (draft-hancke-tsvwg-snap).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from peer.sctp.config import SctpConfig
from peer.sctp.errors import LocalProtocolError, RemoteProtocolError

from .chunks.base import HEADER, ChunkType
from .chunks.setup import Init
from .features import Features
from .params import Cause, Param, cause

__all__ = ["InitParameters", "make_sctp_init", "parse_sctp_init"]

_MIN_WINDOW = 1500
"""RFC 9260, 3.3.2: a smaller a_rwnd is not allowed."""


@dataclass(frozen=True, slots=True)
class InitParameters:
    """One side of an association."""

    tag: int
    """Verification tag of packets toward this side."""
    initial_tsn: int
    window: int
    """a_rwnd, bytes."""
    outbound_streams: int
    inbound_streams: int
    features: Features

    @classmethod
    def new(cls, config: SctpConfig, random: Callable[[int], bytes]) -> InitParameters:
        """Return our parameters, with unpredictable tag and TSN (RFC 9260, 5.3.1)."""
        return cls(
            tag=int.from_bytes(random(4), "big") or 1,
            initial_tsn=int.from_bytes(random(4), "big"),
            window=config.receive_window,
            outbound_streams=config.streams,
            inbound_streams=config.streams,
            features=Features.ours(config),
        )

    @classmethod
    def parse(cls, value: bytes) -> tuple[InitParameters, tuple[Param, ...], list[Param]]:
        """Parse the value of an INIT or INIT ACK.

        Returns:
            The side, all parameters, and those of them to report as unrecognised.

        Raises:
            Malformed: It does not parse.
        """
        init = Init.parse(0, value)
        features, unrecognised = Features.parse(init.params)
        side = cls(
            init.initiate_tag,
            init.initial_tsn,
            init.window,
            init.outbound_streams,
            init.inbound_streams,
            features,
        )
        return side, init.params, unrecognised

    def check(self) -> None:
        """Check the fields (3.3.2, 3.3.3) except the tag: the meaning of zero depends on the chunk.

        Raises:
            RemoteProtocolError: A field has an invalid value.
        """
        if not self.outbound_streams or not self.inbound_streams:
            raise RemoteProtocolError("INIT with no streams", cause(Cause.INVALID_PARAMETER))
        if self.window < _MIN_WINDOW:
            raise RemoteProtocolError(
                f"INIT with a window of {self.window} bytes", cause(Cause.INVALID_PARAMETER)
            )

    def serialize(
        self, kind: ChunkType, extra: Iterable[Param] = (), *, told: Features | None = None
    ) -> bytes:
        """Return the chunk in wire form.

        Args:
            kind: INIT or INIT ACK.
            extra: Parameters in addition to those of the features.
            told: Features to announce; ``None`` for all.
        """
        return Init(
            self.tag,
            self.window,
            self.outbound_streams,
            self.inbound_streams,
            self.initial_tsn,
            (*(told or self.features).params(), *extra),
        ).serialize(kind)


def make_sctp_init(config: SctpConfig, random: Callable[[int], bytes]) -> bytes:
    """Return an INIT chunk of ours for a session description.

    Args:
        config: Settings of the future association.
        random: Returns that many unpredictable bytes (``os.urandom``).
    """
    return InitParameters.new(config, random).serialize(ChunkType.INIT)


def parse_sctp_init(chunk: bytes) -> InitParameters:
    """Return the parameters in an INIT chunk of a session description.

    Raises:
        LocalProtocolError: It is not an INIT chunk that can establish an association.
    """
    kind, _, length = HEADER.unpack_from(chunk.ljust(HEADER.size, b"\0"))
    if kind != ChunkType.INIT or not HEADER.size <= length <= len(chunk):
        raise LocalProtocolError("not an INIT chunk")
    try:
        side, _, _ = InitParameters.parse(chunk[HEADER.size : length])
        side.check()
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"an INIT chunk that cannot be used: {error}") from error
    if not side.tag:
        raise LocalProtocolError("an INIT chunk with a zero tag")
    return side
