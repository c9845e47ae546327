"""Chunks of one or no field: HEARTBEAT, ABORT, ERROR, SHUTDOWN and their answers.

HEARTBEAT and HEARTBEAT ACK (RFC 9260, 3.3.5 and 3.3.6) carry one parameter that only its
sender understands::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Type = 4, 5  |  Chunk Flags  |       Heartbeat Length        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |    Heartbeat Info Type = 1    |        HB Info Length         |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /               Sender-Specific Heartbeat Info                  /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

ABORT (3.3.7; T: the tag is reflected, not the receiver's own) and ERROR (3.3.10)::

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Type = 6, 9  |  Reserved   |T|            Length             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /                   zero or more Error Causes                   /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

SHUTDOWN (3.3.8); SHUTDOWN ACK (3.3.9), COOKIE ACK and SHUTDOWN COMPLETE (3.3.13, with T) are
headers alone::

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |   Type = 7    |  Chunk Flags  |          Length = 8           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                      Cumulative TSN Ack                       |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

PAD (RFC 4820, 3) fills a packet to a size worth probing::

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Type = 0x84  |   Flags = 0   |            Length             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /                         Padding Data                          /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from peer.sctp.errors import Malformed
from peer.sctp.wire.params import ParamType, parse_params, serialize_params

from .base import ChunkType, serialize_chunk

__all__ = [
    "TAG_REFLECTED",
    "describe_causes",
    "heartbeat",
    "heartbeat_info",
    "padding",
    "parse_shutdown",
    "shutdown",
]

TAG_REFLECTED = 1
"""The T bit of ABORT and SHUTDOWN COMPLETE (RFC 9260, 8.5.1)."""


def heartbeat(info: bytes) -> bytes:
    """Return a HEARTBEAT that carries ``info``."""
    value = serialize_params([(ParamType.HEARTBEAT_INFO, info)])
    return serialize_chunk(ChunkType.HEARTBEAT, 0, value)


def heartbeat_info(value: bytes) -> bytes:
    """Return what the HEARTBEAT that this HEARTBEAT ACK answers carried.

    Raises:
        Malformed: There is no such parameter.
    """
    for param in parse_params(value):
        if param.kind == ParamType.HEARTBEAT_INFO:
            return param.value
    raise Malformed("HEARTBEAT ACK without Heartbeat Info")


def padding(size: int) -> bytes:
    """Return a PAD chunk of ``size`` bytes, header included; ``size`` is a multiple of four."""
    return serialize_chunk(ChunkType.PAD, 0, bytes(size - 4))


def shutdown(cumulative_tsn: int) -> bytes:
    """Return a SHUTDOWN that acknowledges up to ``cumulative_tsn``."""
    return serialize_chunk(ChunkType.SHUTDOWN, 0, cumulative_tsn.to_bytes(4, "big"))


def parse_shutdown(value: bytes) -> int:
    """Return the cumulative TSN of a SHUTDOWN.

    Raises:
        Malformed: It is missing.
    """
    if len(value) < 4:
        raise Malformed("SHUTDOWN without a cumulative TSN")
    return int.from_bytes(value[:4], "big")


def describe_causes(value: bytes) -> str:
    """Return the error causes of an ABORT or ERROR in words, for an event or a log."""
    try:
        causes = parse_params(value)
    except Malformed as error:
        return f"unreadable causes: {error}"
    words = []
    for kind, text in causes[:8]:
        printable = text[:100].decode("ascii", "replace")
        words.append(f"cause {kind}" + (f" {printable!r}" if text else ""))
    return ", ".join(words) or "no cause given"
