"""Control messages of a transfer: JSON text, one object each (floor 0).

`peer/transfer/PROTOCOL.md` describes the messages and their order. The bounds here hold for
everything that a peer can send; the machines check the rest (indexes against the manifest, states).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from peer.errors import ProtocolError

from .config import MAX_BYTES, MAX_CONTROL_MESSAGE, MAX_INDEX, MAX_WINDOW
from .manifest import Entry, Manifest

__all__ = [
    "MESSAGE_TYPES",
    "RANGES_PER_MESSAGE",
    "VERSION",
    "Accept",
    "Ack",
    "BadMessage",
    "Cancel",
    "Decline",
    "Done",
    "FileDone",
    "FilesDone",
    "Have",
    "Message",
    "Offer",
    "OfferMore",
    "Retry",
    "Skip",
    "accept_messages",
    "offer_pages",
    "parse_message",
    "serialize_message",
]

U32 = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
Index = Annotated[int, Meta(ge=0, le=MAX_INDEX)]
Segment = Annotated[int, Meta(ge=0, le=MAX_BYTES >> 20)]
Count = Annotated[int, Meta(ge=0, le=MAX_INDEX)]
Size = Annotated[int, Meta(ge=0, le=MAX_BYTES)]
Code = Annotated[str, Meta(max_length=32)]
Sentence = Annotated[str, Meta(max_length=1000)]
Page = Annotated[list[Entry], Meta(max_length=4096)]
Ranges = Annotated[list[tuple[Segment, Segment]], Meta(max_length=4096)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Version = Annotated[int, Meta(ge=1, le=MAX_INDEX)]
Files = Annotated[list[tuple[Index, Index]], Meta(max_length=4096)]
Held = Annotated[dict[Index, Ranges], Meta(max_length=4096)]


class _Message(Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="t"):
    transfer: U32
    """Transfer this is about: even ids were chosen by the link's offerer, odd by its answerer."""


class Offer(_Message, frozen=True, tag="offer"):
    """Sender to receiver: the first page of an offer."""

    files: Count
    """Entries of kind `file`, over all pages."""
    bytes: Size
    """Sum of their sizes."""
    entries: Page
    more: bool = False
    """Another page follows."""
    version: Version = 1
    """Latest version that the sender supports."""
    left_out: Count = 0
    """Number of files that the sender left out: unreadable, or not sendable."""


class OfferMore(_Message, frozen=True, tag="offer_more"):
    """Sender to receiver: the next page."""

    entries: Page
    more: bool = False


class Have(_Message, frozen=True, tag="have"):
    """Receiver to sender, before `accept`: more segments that it holds (see `Accept.have`)."""

    have: Held


class Accept(_Message, frozen=True, tag="accept"):
    """Receiver to sender: start sending."""

    window: Annotated[int, Meta(ge=1, le=MAX_WINDOW)]
    """Segments that may be in flight."""
    have: Held = msgspec.field(default_factory=dict)
    """Ranges (first, last) of segments that the receiver holds, by file index."""
    version: Version = 1
    """Version used from now on: the latest that both support."""


class Decline(_Message, frozen=True, tag="decline"):
    """Receiver to sender: the offer is declined."""

    code: Code
    message: Sentence = ""


class Ack(_Message, frozen=True, tag="ack"):
    """Receiver to sender: these segments are verified and written; their credit returns."""

    file: Index
    segments: Ranges


class Retry(_Message, frozen=True, tag="retry"):
    """Receiver to sender: this segment did not match its digest, send it again."""

    file: Index
    segment: Segment


class FileDone(_Message, frozen=True, tag="file_done"):
    """Receiver to sender: the file has its final name."""

    file: Index
    digest: Digest
    """SHA-256 over the digests of its segments, hexadecimal."""


class FilesDone(_Message, frozen=True, tag="files_done"):
    """Receiver to sender (version 2): these files have their final names."""

    files: Files
    """Ranges (first, last) of their indexes, ascending and disjoint."""
    digest: Digest
    """SHA-256 over their digests, in the order of their indexes, hexadecimal."""


class Skip(_Message, frozen=True, tag="skip"):
    """Sender to receiver (version 2): this file is skipped; no part of it was sent."""

    file: Index
    reason: Annotated[str, Meta(max_length=200)] = ""
    """To follow its path in a sentence."""


class Done(_Message, frozen=True, tag="done"):
    """Receiver to sender: everything is in place."""

    files: Count
    """Files that were offered and not skipped."""
    bytes: Size
    left_out: Count = 0
    """Entries that could not be put in place, such as links on a disk without links."""


class Cancel(_Message, frozen=True, tag="cancel"):
    """Either side: the transfer ends here."""

    code: Code
    message: Sentence = ""


Message = (
    Offer
    | OfferMore
    | Have
    | Accept
    | Decline
    | Ack
    | Retry
    | FileDone
    | FilesDone
    | Skip
    | Done
    | Cancel
)


VERSION: Final = 2
"""Latest supported version of the protocol."""

RANGES_PER_MESSAGE: Final = 1000
"""Ranges in one message: at most 40 bytes each, far below 48 KiB."""


class _Type(Struct, frozen=True):
    """Decoded first, to tell whether a message belongs to this protocol."""

    t: str


class _Transfer(Struct, frozen=True):
    """Decoded from a malformed message, to tell which transfer it belongs to."""

    transfer: U32


_TYPE: Final = msgspec.json.Decoder(_Type)
_TRANSFER: Final = msgspec.json.Decoder(_Transfer)
_ENCODER: Final = msgspec.json.Encoder()
_DECODERS: Final[dict[str, msgspec.json.Decoder[Message]]] = {
    str(kind.__struct_config__.tag): msgspec.json.Decoder(kind)
    for kind in (
        Offer,
        OfferMore,
        Have,
        Accept,
        Decline,
        Ack,
        Retry,
        FileDone,
        FilesDone,
        Skip,
        Done,
        Cancel,
    )
}

MESSAGE_TYPES: Final = frozenset(_DECODERS)
"""Every `t` of this protocol; a link routes these to its transfers."""


class BadMessage(ProtocolError):
    """A control message that the protocol does not allow.

    Attributes:
        transfer: The transfer that it names, which ends; None if that is unreadable.
        kind: Its `t`; empty if that is unreadable.
    """

    def __init__(self, reason: str, transfer: int | None = None, kind: str = "") -> None:
        super().__init__(f"The other side sent a malformed transfer message: {reason}.")
        self.transfer = transfer
        self.kind = kind


def parse_message(text: str | bytes) -> Message | None:
    """Read one control message.

    Returns:
        The message, or None if its type is not of this protocol (to be ignored).

    Raises:
        BadMessage: It is longer than 48 KiB, not JSON, or a message of this protocol out of bounds.
    """
    if len(text) > MAX_CONTROL_MESSAGE:  # cheap, before anything is copied
        raise BadMessage(f"longer than {MAX_CONTROL_MESSAGE} bytes")
    try:
        data = text.encode() if isinstance(text, str) else text
        if len(data) > MAX_CONTROL_MESSAGE:
            raise BadMessage(f"longer than {MAX_CONTROL_MESSAGE} bytes")
        kind = _TYPE.decode(data).t
        decoder = _DECODERS.get(kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        # RecursionError: arrays nested 10000 deep in a field that we skip
        raise BadMessage(str(exc)) from exc
    if decoder is None:
        return None
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise BadMessage(str(exc), _transfer_of(data), kind) from exc


def _transfer_of(data: bytes) -> int | None:
    try:
        return _TRANSFER.decode(data).transfer
    except (msgspec.DecodeError, RecursionError):
        return None


def serialize_message(message: Message) -> str:
    """Write one control message as JSON text."""
    return _ENCODER.encode(message).decode()


class _RawOffer(_Message, frozen=True, tag="offer"):
    files: int
    bytes: int
    entries: msgspec.Raw
    more: bool = False
    version: int = 1
    left_out: int = 0


class _RawOfferMore(_Message, frozen=True, tag="offer_more"):
    entries: msgspec.Raw
    more: bool = False


def offer_pages(
    transfer: int, manifest: Manifest, *, version: int = VERSION, left_out: int = 0
) -> Iterator[str]:
    """Write a manifest as one `offer` and the `offer_more` messages that it needs.

    Lazy: a page is written on demand.

    Args:
        transfer: Id of the transfer.
        manifest: Entries to offer; it must not grow any more.
        version: As in `Offer.version`.
        left_out: As in `Offer.left_out`.

    Yields:
        Messages of at most 48 KiB each.
    """
    pages = manifest.pages()
    page: bytes | None = next(pages)
    message: _RawOffer | _RawOfferMore | None = None
    while page is not None:
        following = next(pages, None)
        more, entries = following is not None, msgspec.Raw(page)
        if message is None:
            message = _RawOffer(
                transfer=transfer,
                files=manifest.files,
                bytes=manifest.bytes,
                entries=entries,
                more=more,
                version=version,
                left_out=left_out,
            )
        else:
            message = _RawOfferMore(transfer=transfer, entries=entries, more=more)
        yield _ENCODER.encode(message).decode()
        page = following


def accept_messages(
    transfer: int,
    window: int,
    have: Mapping[int, Sequence[tuple[int, int]]],
    version: int = 1,
) -> Iterator[str]:
    """Write an `accept`, preceded by `have` messages if it would be too long.

    Args:
        transfer: Id of the transfer.
        window: Segments that may be in flight.
        have: Ranges (first, last) of segments that are here already, by file index, ascending.
        version: As in `Accept.version`.

    Yields:
        Messages of at most 48 KiB each, the `accept` last.
    """
    page: dict[int, list[tuple[int, int]]] = {}
    count = 0
    for file, ranges in have.items():
        for held in ranges:
            if count == RANGES_PER_MESSAGE:
                yield serialize_message(Have(transfer=transfer, have=page))
                page, count = {}, 0
            page.setdefault(file, []).append(held)
            count += 1
    yield serialize_message(Accept(transfer=transfer, window=window, have=page, version=version))
