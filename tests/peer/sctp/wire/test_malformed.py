"""Chunks that are too short, or carry too much, are refused before anything in them counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from peer.sctp.errors import Malformed
from peer.sctp.wire.chunks.base import ChunkType
from peer.sctp.wire.chunks.data import DataChunk
from peer.sctp.wire.chunks.forward import ForwardTsn
from peer.sctp.wire.chunks.reconfig import IncomingReset, OutgoingReset, Response
from peer.sctp.wire.chunks.setup import Init
from peer.sctp.wire.params import parse_params


@pytest.mark.parametrize(
    ("parse", "said"),
    [
        (lambda: DataChunk.parse(ChunkType.DATA, 3, bytes(11)), "DATA is 11 bytes"),
        (lambda: DataChunk.parse(ChunkType.I_DATA, 3, bytes(15)), "I-DATA is 15 bytes"),
        (lambda: ForwardTsn.parse(ChunkType.FORWARD_TSN, bytes(3)), "FORWARD-TSN of 3 bytes"),
        (lambda: ForwardTsn.parse(ChunkType.I_FORWARD_TSN, bytes(8)), "FORWARD-TSN of 8 bytes"),
        (lambda: OutgoingReset.parse(bytes(11)), "Outgoing SSN Reset Request of 11 bytes"),
        (lambda: OutgoingReset.parse(bytes(13)), "half a stream number"),
        (lambda: IncomingReset.parse(bytes(3)), "Incoming SSN Reset Request of 3 bytes"),
        (lambda: Response.parse(bytes(7)), "Response of 7 bytes"),
        (lambda: Init.parse(0, bytes(15)), "INIT is 15 bytes"),
        (lambda: parse_params(bytes((0, 1, 0, 4)) * 1000), "parameters"),
        (lambda: parse_params(bytes((0, 1, 0, 3))), "length of 3 bytes"),
        (lambda: parse_params(bytes((0, 1, 0, 9, 0))), "length of 9 bytes"),
    ],
)
def test_what_does_not_fit_is_malformed(parse: Callable[[], object], said: str) -> None:
    with pytest.raises(Malformed, match=said):
        parse()
