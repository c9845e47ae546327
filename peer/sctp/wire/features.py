"""Extensions: the offers in INIT and INIT ACK, and the features that both sides support."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from peer.sctp.config import SctpConfig

from .chunks.base import ChunkType
from .params import Param, ParamType, is_reported, serialize_params, stops_parsing

__all__ = ["Features"]

_DTLS = (1).to_bytes(4, "big")
"""Error detection method identifier: SCTP over DTLS (RFC 9653, 8.2)."""
_IMPLEMENTATION_VERSION = (1).to_bytes(4, "big")
_KNOWN = frozenset(ParamType)


@dataclass(frozen=True, slots=True)
class Features:
    """The extensions that one side offers."""

    partial_reliability: bool = False
    """RFC 3758."""
    reset: bool = False
    """RFC 6525."""
    interleaving: bool = False
    """RFC 8260."""
    zero_checksum: bool = False
    """RFC 9653: it accepts packets without a checksum over DTLS."""
    same_implementation: bool = False
    """It runs this implementation."""

    @classmethod
    def ours(cls, config: SctpConfig) -> Features:
        """Return our offer."""
        return cls(
            partial_reliability=True,
            reset=True,
            interleaving=config.interleaving,
            zero_checksum=config.zero_checksum,
            same_implementation=config.recognise_implementation,
        )

    @classmethod
    def parse(cls, params: Iterable[Param]) -> tuple[Features, list[Param]]:
        """Return the peer's offer, and the parameters to report as unrecognised (3.2.2).

        Args:
            params: Of its INIT or INIT ACK, in order.
        """
        chunks: bytes = b""
        kinds: dict[int, bytes] = {}
        unrecognised: list[Param] = []
        for param in params:
            if param.kind == ParamType.SUPPORTED_EXTENSIONS:
                chunks = param.value
            if param.kind in _KNOWN or param.kind in _ADDRESSES:
                kinds[param.kind] = param.value
                continue
            if is_reported(param.kind):
                unrecognised.append(param)
            if stops_parsing(param.kind):
                break
        features = cls(
            partial_reliability=ParamType.FORWARD_TSN_SUPPORTED in kinds
            or ChunkType.FORWARD_TSN in chunks,
            reset=ChunkType.RE_CONFIG in chunks,
            interleaving=ChunkType.I_DATA in chunks,
            zero_checksum=kinds.get(ParamType.ZERO_CHECKSUM) == _DTLS,
            same_implementation=kinds.get(ParamType.SAME_IMPLEMENTATION) == _IMPLEMENTATION_VERSION,
        )
        return features, unrecognised

    def params(self) -> list[Param]:
        """Return the parameters of this offer."""
        chunks: list[int] = []
        params: list[Param] = []
        if self.partial_reliability:
            chunks.append(ChunkType.FORWARD_TSN)
            params.append(Param(ParamType.FORWARD_TSN_SUPPORTED, b""))
        if self.reset:
            chunks.append(ChunkType.RE_CONFIG)
        if self.interleaving:
            chunks += [ChunkType.I_DATA, ChunkType.I_FORWARD_TSN]
        params.append(Param(ParamType.SUPPORTED_EXTENSIONS, bytes(chunks)))
        if self.zero_checksum:
            params.append(Param(ParamType.ZERO_CHECKSUM, _DTLS))
        if self.same_implementation:
            params.append(Param(ParamType.SAME_IMPLEMENTATION, _IMPLEMENTATION_VERSION))
        return params

    def known_to_all(self) -> Features:
        """Return the offer for an implementation that rejects parameters it does not know.

        RFC 9260, 3.2.1 has them skipped, but pion/sctp up to 1.8.8 drops the whole chunk. The
        extensions that decide the format of data chunks stay, so that sides that received
        different INITs still agree.
        """
        return replace(self, zero_checksum=False, same_implementation=False)

    def in_answer_to(self, other: Features) -> Features:
        """Return the answer to the offer ``other``, without parameters that it may not know.

        Each side declares on its own that it needs no checksum (RFC 9653, 4), but a side that does
        not declare it would not use it.
        """
        return replace(
            self,
            zero_checksum=self.zero_checksum and other.zero_checksum,
            same_implementation=self.same_implementation and other.same_implementation,
        )

    def agreed(self, other: Features) -> Features:
        """Return the features that both offer."""
        return Features(
            partial_reliability=self.partial_reliability and other.partial_reliability,
            reset=self.reset and other.reset,
            interleaving=self.interleaving and other.interleaving,
            zero_checksum=self.zero_checksum and other.zero_checksum,
            same_implementation=self.same_implementation and other.same_implementation,
        )

    def pack(self) -> int:
        """Return the features as bits, for the state cookie."""
        flags = (self.partial_reliability, self.reset, self.interleaving, self.zero_checksum,
                 self.same_implementation)  # fmt: skip
        return sum(1 << bit for bit, flag in enumerate(flags) if flag)

    @classmethod
    def unpack(cls, bits: int) -> Features:
        """Return the features that ``pack`` made ``bits`` of."""
        return cls(*(bool(bits & 1 << bit) for bit in range(5)))


_ADDRESSES = frozenset({5, 6, 11, 12})
"""IPv4, IPv6, host name, supported address types (RFC 9260, 3.3.2.1): unused over DTLS."""


def unrecognised_params(params: Iterable[Param]) -> list[Param]:
    """Wrap parameters we do not know for an INIT ACK (RFC 9260, 3.3.3.1.2)."""
    return [Param(ParamType.UNRECOGNIZED, serialize_params([param])) for param in params]
