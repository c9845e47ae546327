"""The receiver's hottest loop: datagrams that hold one data chunk and nothing else.

Bulk data is a sequence of such packets, also above a hole that a lost packet has left. The loop
recognises them by comparing bytes, and appends their payload without making any other object. All
other packets (other chunks, a new hole, and with DATA the begin or the end of a message) go to the
general code, so this module makes no protocol decision.
"""

from __future__ import annotations

from collections.abc import Sequence

from peer.sctp.wire.chunks.data import (
    BEGIN,
    DATA_HEADER,
    END,
    I_DATA_HEADER,
    IMMEDIATE,
    UNORDERED,
    DataChunk,
)
from peer.sctp.wire.crc32c import extend
from peer.sctp.wire.packet import PACKET_HEADER_SIZE
from peer.sctp.wire.serial import MASK32, Tsn

from .data_assembler import DataAssembler, Run
from .idata_assembler import IDataAssembler
from .receiver import Receiver

__all__ = ["DataPacketReader"]

_DATA = 0
_I_DATA = 0x40
_MESSAGE = BEGIN | END
_DATA_OFFSET = PACKET_HEADER_SIZE + DATA_HEADER.size
_I_DATA_OFFSET = PACKET_HEADER_SIZE + I_DATA_HEADER.size


class DataPacketReader:
    """Reads runs of plain data packets into a receiver."""

    def __init__(self, receiver: Receiver, header: bytes, checksum: int, *, zero: bool) -> None:
        """Choose the loop for the chunk type in use.

        Args:
            receiver: Receives the data.
            header: Ports, tag and a zero checksum: the 12 bytes such packets begin with.
            checksum: CRC32c of ``header``.
            zero: Packets may come without a checksum (RFC 9653).
        """
        self._receiver = receiver
        self._zero_header = header if zero else b""
        self._prefix = header[:8]
        self._crc = checksum
        self.take = self._take_i_data if receiver.interleaving else self._take_data

    def _is_ours(self, datagram: bytes) -> bool:
        crc: int = extend(self._crc, datagram[12:])
        return datagram[:8] == self._prefix and datagram[8:12] == crc.to_bytes(4, "little")

    def _take_data(self, datagrams: Sequence[bytes], start: int) -> int:
        """Read DATA packets from ``start`` on, up to the first that is not plain data.

        Returns:
            The index of the first other datagram, or the number of datagrams.
        """
        receiver = self._receiver
        tsns = receiver.tsns
        reassembly = receiver.reassembly
        assembler = reassembly.assembler
        assert isinstance(assembler, DataAssembler)
        unpack = DATA_HEADER.unpack_from
        header = self._zero_header
        blocks = tsns.blocks
        expected = (tsns.cumulative + 1) & MASK32
        index = start
        run = None if receiver.is_full else assembler.open_run(tsns.cumulative)
        # Of the open run: the fields of its next fragment, and the list for its payload.
        flags_, stream_, number_ = (run.unordered, run.stream_id, run.number) if run else (-1, 0, 0)
        append = run.parts.append if run else None
        before = 0
        try:
            for index in range(start, len(datagrams)):
                data = datagrams[index]
                size = len(data)
                if size <= _DATA_OFFSET or (data[:12] != header and not self._is_ours(data)):
                    return index
                kind, flags, length, tsn, stream_id, number, ppid = unpack(data, 12)
                if kind != _DATA or length <= 16 or not 0 <= size - 12 - length < 4:
                    return index
                receiver.packets += 1
                payload = data[28 : 12 + length]
                if (
                    flags == flags_ and tsn == expected and stream_id == stream_
                    and number == number_ and append is not None and not blocks
                ):  # fmt: skip
                    append(payload)
                    before += length
                    tsns.cumulative += 1
                    expected = (tsn + 1) & MASK32
                    continue
                if run is not None:
                    _close_run(assembler, run, tsns.cumulative, before)
                    run = append = None
                    before = 0
                    flags_ = -1
                elif (
                    flags & _MESSAGE == _MESSAGE and tsn == expected and not blocks
                    and not flags & IMMEDIATE and not receiver.is_full
                ):  # fmt: skip
                    tsns.cumulative += 1
                    expected = (tsn + 1) & MASK32
                    reassembly.finish(stream_id, flags & UNORDERED, number, ppid, payload)
                    continue
                receiver.on_data(DataChunk(tsn, stream_id, number, 0, ppid, flags, payload))
                if not flags & END and not blocks and not receiver.is_full:
                    run = assembler.open_run(tsns.cumulative)
                    if run is not None:
                        flags_, stream_, number_ = run.unordered, run.stream_id, run.number
                        append = run.parts.append
                expected = (tsns.cumulative + 1) & MASK32
        finally:
            if run is not None:
                _close_run(assembler, run, tsns.cumulative, before)
        return len(datagrams)

    def _take_i_data(self, datagrams: Sequence[bytes], start: int) -> int:
        """Read I-DATA packets, as ``_take_data`` reads DATA packets."""
        receiver = self._receiver
        tsns = receiver.tsns
        reassembly = receiver.reassembly
        assembler = reassembly.assembler
        assert isinstance(assembler, IDataAssembler)
        unpack = I_DATA_HEADER.unpack_from
        header = self._zero_header
        blocks = tsns.blocks
        expected = (tsns.highest + 1) & MASK32
        messages = assembler.messages
        message = None
        parts: list[bytes] = []
        flags_, stream_, number_ = -1, 0, 0
        room = receiver.window
        for index in range(start, len(datagrams)):
            data = datagrams[index]
            size = len(data)
            if size <= _I_DATA_OFFSET or (data[:12] != header and not self._is_ours(data)):
                return index
            kind, flags, length, tsn, stream_id, _, number, last = unpack(data, 12)
            if kind != _I_DATA or length <= 20 or not 0 <= size - 12 - length < 4:
                return index
            receiver.packets += 1
            payload = data[32 : 12 + length]
            if tsn == expected and room > 0 and not flags & IMMEDIATE:
                if (
                    flags & ~END == flags_ and number == number_ and stream_id == stream_
                    and last == len(parts) and message is not None and not message.early
                    and (not blocks or tsns.may_extend)
                ):  # fmt: skip
                    parts.append(payload)
                    message.size += length
                    assembler.buffered += length
                    if blocks:
                        length -= 20
                        tsns.extend(length)
                        room -= length
                    else:
                        tsns.cumulative += 1
                    expected = (tsn + 1) & MASK32
                    if flags & END:
                        message = None
                        whole = assembler.complete((stream_id, flags_, number))
                        reassembly.finish(stream_id, flags_, number, *whole)
                        room = receiver.window
                    continue
                if flags & BEGIN and not blocks:
                    flags_ = flags & UNORDERED
                    if flags & END:
                        message = None
                        tsns.cumulative += 1
                        expected = (tsn + 1) & MASK32
                        reassembly.finish(stream_id, flags_, number, last, payload)
                        room = receiver.window
                        continue
                    message = assembler.begin((stream_id, flags_, number), last, payload)
                    if message is not None:
                        tsns.cumulative += 1
                        expected = (tsn + 1) & MASK32
                        parts, stream_, number_ = message.parts, stream_id, number
                        continue
            fragment, ppid = (0, last) if flags & BEGIN else (last, 0)
            receiver.on_data(
                DataChunk(tsn, stream_id, number, fragment, ppid, flags, payload, interleaved=True)
            )
            room = receiver.window
            expected = (tsns.highest + 1) & MASK32
            flags_ = flags & UNORDERED
            message = messages.get((stream_id, flags_, number))
            if message is not None:
                parts = message.parts
                stream_ = stream_id
                number_ = number
                if message.last >= 0:
                    message = None  # its end is known: the general code completes it
        if blocks:
            receiver.immediate = True  # RFC 9260, 6.2: a SACK at once while there is a hole
        return len(datagrams)


def _close_run(assembler: DataAssembler, run: Run, last: Tsn, added: int) -> None:
    """Put back a run that the loop has extended."""
    run.last = last
    run.size += added
    assembler.buffered += added
    assembler.close_run(run)
