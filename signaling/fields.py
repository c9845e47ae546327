"""Types of the fields of messages, and their bounds (floor 0).

A length in characters counts Unicode code points.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from .errors import BadMessage, ErrorCode

__all__ = [
    "MAX_DATA_BYTES",
    "MAX_MESSAGE_BYTES",
    "MAX_META_BYTES",
    "MAX_META_DEPTH",
    "MAX_NAME",
    "MAX_ROOM",
    "MAX_SERVER_MESSAGE_BYTES",
    "SUBPROTOCOL",
    "U32",
    "WEBSOCKET_PATH",
    "Generation",
    "Identifier",
    "JsonObject",
    "LeaveReason",
    "LinkId",
    "Name",
    "RoomName",
    "RoomNumber",
    "Seconds",
    "Seq",
    "SignalKind",
    "Text64",
    "Text500",
    "Token",
    "check_data",
    "check_meta",
]

SUBPROTOCOL: Final = "peerline.signal.v1"
WEBSOCKET_PATH: Final = "/v1/ws"

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""Longest message that a server reads, bytes."""
MAX_SERVER_MESSAGE_BYTES: Final = 1024 * 1024
"""Longest message that a client must be ready to read (a welcome into a large room), bytes."""
MAX_DATA_BYTES: Final = 48 * 1024
"""Longest `signal.data`, in bytes of UTF-8."""
MAX_META_BYTES: Final = 1024
"""Longest `meta`, in bytes of compact JSON."""
MAX_META_DEPTH: Final = 8
MAX_NAME: Final = 64
MAX_ROOM: Final = 64

# Characters that are forbidden in names that people see: control characters, line and paragraph
# separators, those that change the direction of text, and invisible ones that make two different
# names look alike. This is a list of ranges because `str.isprintable` depends on the version of
# Unicode, and a second implementation needs the same rule.
_HIDDEN: Final = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f"
    r"\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)

Text64 = Annotated[str, Meta(max_length=64)]
Text500 = Annotated[str, Meta(max_length=500)]
Name = Annotated[str, Meta(max_length=MAX_NAME, pattern=rf"\A[^{_HIDDEN}]*\Z")]
RoomName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_ROOM,
        pattern=rf"\A(?!\s)[^{_HIDDEN}]+(?<!\s)\Z",
    ),
]
RoomNumber = Annotated[str, Meta(max_length=9, pattern=r"\A[1-9][0-9]*\Z")]
Identifier = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9._~-]+\Z")]
LinkId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[!-~]+\Z")]
Token = Annotated[str, Meta(max_length=4096, pattern=r"\A[!-~]*\Z")]
U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Generation = Annotated[int, Meta(ge=0, le=2**31)]
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Seconds = Annotated[float, Meta(ge=0)]
JsonObject: TypeAlias = dict[str, Any]


class SignalKind(StrEnum):
    """Kinds of `signal`; the server relays all of them alike."""

    PAKE = "pake"
    OFFER = "offer"
    ANSWER = "answer"
    CANDIDATE = "candidate"
    END_OF_CANDIDATES = "end_of_candidates"
    RESTART = "restart"
    BYE = "bye"


class LeaveReason(StrEnum):
    """Reasons why a peer left its room. Clients treat unknown ones as `disconnected`."""

    LEAVE = "leave"
    DISCONNECTED = "disconnected"
    TIMEOUT = "timeout"
    EXPIRED = "expired"


def check_meta(meta: dict[str, Any] | None, id: int | None) -> None:
    """Check the bounds of a `meta` that decoding alone does not check.

    Raises:
        BadMessage: For the message `id`.
    """
    if meta is None:
        return
    if _depth(meta, MAX_META_DEPTH) > MAX_META_DEPTH:
        what = f"`meta` is nested more than {MAX_META_DEPTH} deep"
        raise BadMessage(ErrorCode.BAD_MESSAGE, what, id=id)
    if len(msgspec.json.encode(meta)) > MAX_META_BYTES:
        what = f"`meta` has at most {MAX_META_BYTES} bytes of JSON"
        raise BadMessage(ErrorCode.TOO_LARGE, what, id=id)


def _depth(value: object, left: int) -> int:
    """Depth to which `value` is nested; the search stops below `left` levels."""
    if isinstance(value, dict):
        inner: list[object] = list(value.values())
    elif isinstance(value, list):
        inner = value
    else:
        return 0
    if left <= 0:
        return 1
    return 1 + max((_depth(item, left - 1) for item in inner), default=0)


def check_data(data: str, id: int | None) -> None:
    """Check the bounds of `data` that decoding alone does not check.

    Raises:
        BadMessage: For the message `id`.
    """
    if len(data) * 4 > MAX_DATA_BYTES and len(data.encode()) > MAX_DATA_BYTES:
        what = f"`data` has at most {MAX_DATA_BYTES} bytes of UTF-8"
        raise BadMessage(ErrorCode.TOO_LARGE, what, id=id)
