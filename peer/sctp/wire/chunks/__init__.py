"""Chunk codecs: each with its packet picture and the section that defines it."""

from __future__ import annotations

from .base import ChunkType, RawChunk, serialize_chunk
from .data import BEGIN, END, IMMEDIATE, UNORDERED, DataChunk
from .forward import ForwardTsn, Skipped
from .reconfig import IncomingReset, OutgoingReset, Response, Result
from .sack import Sack
from .setup import Init

__all__ = [
    "BEGIN",
    "END",
    "IMMEDIATE",
    "UNORDERED",
    "ChunkType",
    "DataChunk",
    "ForwardTsn",
    "IncomingReset",
    "Init",
    "OutgoingReset",
    "RawChunk",
    "Response",
    "Result",
    "Sack",
    "Skipped",
    "serialize_chunk",
]
