"""The messages of `peerline.signal.v1`, and their JSON form (floor 0).

A WebSocket text frame holds one JSON object; its field `t` names the type. Unknown fields are
ignored, so that a newer peer can talk to an older one; every known field has a bound.
`PROTOCOL.md` explains the meaning of the messages; this module defines their form.

Messages of clients: `Hello`, `Signal`, `Ice`, `Pong`, `Leave`, `Ack`, `Stats`.
Messages of servers: `Welcome`, `PeerEvent`, `SignalFrom`, `Ok`, `Error`, `Ping`, `IceUpdate`,
`Draining`.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from .errors import BadMessage, ErrorCode
from .fields import (
    MAX_DATA_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_META_BYTES,
    MAX_NAME,
    MAX_ROOM,
    MAX_SERVER_MESSAGE_BYTES,
    SUBPROTOCOL,
    U32,
    WEBSOCKET_PATH,
    Generation,
    Identifier,
    JsonObject,
    LeaveReason,
    LinkId,
    Name,
    RoomName,
    RoomNumber,
    Seconds,
    Seq,
    SignalKind,
    Text64,
    Text500,
    Token,
    check_data,
    check_meta,
)
from .ice_servers import IcePolicy, IceServer

__all__ = [
    "MAX_DATA_BYTES",
    "MAX_MESSAGE_BYTES",
    "MAX_META_BYTES",
    "MAX_NAME",
    "MAX_ROOM",
    "MAX_SERVER_MESSAGE_BYTES",
    "SUBPROTOCOL",
    "WEBSOCKET_PATH",
    "Ack",
    "BadMessage",
    "ClientMessage",
    "Draining",
    "Error",
    "Heartbeat",
    "Hello",
    "Ice",
    "IceOffer",
    "IceUpdate",
    "Leave",
    "LeaveReason",
    "Limits",
    "Ok",
    "PeerEvent",
    "PeerInfo",
    "Ping",
    "Pong",
    "Resume",
    "ServerMessage",
    "Signal",
    "SignalFrom",
    "SignalKind",
    "Stats",
    "Welcome",
    "parse_client",
    "parse_server",
    "serialize",
    "serialize_bytes",
]


class _Message(Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    """Base class of all messages; fields with their default value do not travel."""


# --- client to server -------------------------------------------------------------------------


class Resume(Struct, frozen=True, kw_only=True):
    """The session that a client wants to continue."""

    session: Identifier
    token: Token
    last_seq: Seq

    def __repr__(self) -> str:
        return f"Resume(session={self.session!r}, token='...', last_seq={self.last_seq})"


class Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    """The first message: the room to enter.

    Attributes:
        room: A named room, or
        code: True for a new code room, the number (`"7"`) for an existing one.
        name: The name that others see.
        meta: A small JSON object for the others.
        token: For servers that ask who is there; never logged.
    """

    room: RoomName | None = None
    code: bool | RoomNumber | None = None
    name: Name | None = None
    meta: JsonObject | None = None
    token: Token | None = None
    resume: Resume | None = None
    id: U32 | None = None

    def __repr__(self) -> str:
        token = "None" if self.token is None else "'...'"
        return (
            f"Hello(room={self.room!r}, code={self.code!r}, name={self.name!r}, "
            f"meta={self.meta!r}, token={token}, resume={self.resume!r}, id={self.id!r})"
        )


class Signal(_Message, frozen=True, kw_only=True, tag="signal"):
    """A message to one other peer of the room.

    Attributes:
        to: Id of the other peer.
        link: Chosen at random by the earlier of the two; ASCII.
        gen: Number of the connection under the link, from 0.
        kind: Purpose of the signal.
        data: Opaque to the server (usually sealed), at most 48 KiB of UTF-8.
    """

    to: Identifier
    link: LinkId
    gen: Generation
    kind: SignalKind
    data: str
    id: U32 | None = None


class Ice(_Message, frozen=True, kw_only=True, tag="ice"):
    """Asks for the ICE servers again (their credentials may be new)."""

    id: U32 | None = None


class Pong(_Message, frozen=True, kw_only=True, tag="pong"):
    """Answers `ping`."""


class Leave(_Message, frozen=True, kw_only=True, tag="leave"):
    """Goodbye; the server closes the connection."""

    id: U32 | None = None


class Ack(_Message, frozen=True, kw_only=True, tag="ack"):
    """Confirms everything up to `seq`, which a resumed session does not need any more."""

    seq: Seq


class Stats(_Message, frozen=True, kw_only=True, tag="stats"):
    """The result of an attempt to connect, for the server's statistics; it has no answer.

    Attributes:
        link: Id of the link.
        result: The result.
        open_ms: From the first signal to the open channel, in milliseconds.
        stage: Stage of a failed attempt (`pake`, `ice`, `dtls`, ...).
    """

    link: LinkId
    result: Literal["direct", "relayed", "failed"]
    open_ms: U32 | None = None
    stage: Text64 | None = None


# --- server to client -------------------------------------------------------------------------


class PeerInfo(Struct, frozen=True, kw_only=True):
    """A peer in the room.

    Attributes:
        peer: Its id; ids sort, as strings, by arrival.
        state: `away` while a broken connection may still be resumed.
    """

    peer: Identifier
    name: Name | None = None
    meta: JsonObject | None = None
    state: Literal["online", "away"] = "online"


class IceOffer(Struct, frozen=True, kw_only=True):
    """The ICE servers that a peer may use.

    Attributes:
        expires_at: End of the credentials, seconds since 1970; None if they do not expire.
    """

    servers: tuple[IceServer, ...] = ()
    policy: IcePolicy = "all"
    expires_at: float | None = None


class Limits(Struct, frozen=True, kw_only=True):
    """Bounds of the server that clients need to know.

    Attributes:
        message_bytes: Longest message that the server reads, bytes.
        data_bytes: Longest `signal.data`, in bytes of UTF-8.
        rate: Messages per second, in the long run.
        burst: Messages at once.
        peers: Places in this room.
        queue_bytes: Bytes that may wait for a client that does not read.
    """

    message_bytes: int = MAX_MESSAGE_BYTES
    data_bytes: int = MAX_DATA_BYTES
    rate: float = 50.0
    burst: int = 100
    peers: int = 64
    queue_bytes: int = 1024 * 1024


class Heartbeat(Struct, frozen=True, kw_only=True):
    """The server pings every `interval` seconds and waits `timeout` seconds for an answer."""

    interval: Seconds = 20.0
    timeout: Seconds = 10.0


class Welcome(Struct, frozen=True, kw_only=True, tag_field="t", tag="welcome"):
    """The answer to `hello`: the client is admitted.

    Attributes:
        session: Name of this session, for a later `resume`.
        resume_token: A secret that proves the ownership of the session.
        peer: The client's own peer id.
        room: Name or number of the room.
        seq: Number of the last numbered message of this session; the next has one more.
        peers: The peers that are there already, by arrival, without the client itself.
        resumed: Whether this is the old session.
        recovered: Whether nothing was lost.
        code: The number, if this is a code room.
        id: The `id` of the `hello`.
    """

    session: Identifier
    resume_token: Token
    peer: Identifier
    room: RoomName
    seq: Seq = 0
    peers: tuple[PeerInfo, ...] = ()
    ice: IceOffer = IceOffer()
    limits: Limits = Limits()
    heartbeat: Heartbeat = Heartbeat()
    resumed: bool = False
    recovered: bool = False
    code: RoomNumber | None = None
    id: U32 | None = None

    def __repr__(self) -> str:
        return (
            f"Welcome(session={self.session!r}, resume_token='...', peer={self.peer!r}, "
            f"room={self.room!r}, seq={self.seq}, peers={self.peers!r}, ice={self.ice!r}, "
            f"resumed={self.resumed}, recovered={self.recovered}, code={self.code!r})"
        )


class PeerEvent(_Message, frozen=True, kw_only=True, tag="peer"):
    """A peer came or went.

    Attributes:
        reason: With `left`, one of `LeaveReason`, or one that came later.
        name, meta: With `joined`.
        seq: Number of this message in the session.
    """

    event: Literal["joined", "left", "away", "back"]
    peer: Identifier
    seq: Seq
    reason: Text64 | None = None
    name: Name | None = None
    meta: JsonObject | None = None


class SignalFrom(_Message, frozen=True, kw_only=True, tag="signal"):
    """A `signal` as it arrives: with `from`, which the server sets."""

    from_: Identifier = msgspec.field(name="from")
    to: Identifier
    link: LinkId
    gen: Generation
    kind: SignalKind
    data: str
    seq: Seq


class Ok(_Message, frozen=True, kw_only=True, tag="ok"):
    """The message with this `id` was carried out."""

    id: U32


class Error(Struct, frozen=True, kw_only=True, tag_field="t", tag="error", omit_defaults=True):
    """The refusal of a message.

    Attributes:
        code: One of `ErrorCode`, or one of a later version.
        message: One sentence for people.
        retryable: Whether the same message may succeed later.
        retry_after: Seconds to wait before that.
        id: The message's `id`, if it could be read.
    """

    code: Text64
    message: Text500
    retryable: bool
    retry_after: Seconds | None = None
    id: U32 | None = None


class Ping(_Message, frozen=True, kw_only=True, tag="ping"):
    """Asks for a `pong`; without one the server closes the connection."""


class IceUpdate(_Message, frozen=True, kw_only=True, tag="ice"):
    """The ICE servers: the answer to `ice`, or renewed by the server."""

    ice: IceOffer
    id: U32 | None = None


class Draining(_Message, frozen=True, kw_only=True, tag="draining"):
    """The server is going away; it will close the connection with 4200.

    Attributes:
        after: Seconds until then.
    """

    after: Seconds = 0.0


ClientMessage: TypeAlias = Hello | Signal | Ice | Pong | Leave | Ack | Stats
ServerMessage: TypeAlias = (
    Welcome | PeerEvent | SignalFrom | Ok | Error | Ping | IceUpdate | Draining
)

# --- to and from JSON -------------------------------------------------------------------------


class _Envelope(Struct):
    """The part of a bad message that its answer needs."""

    t: Any = None
    id: Any = None


_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_envelope_decoder = msgspec.json.Decoder(_Envelope)
_CLIENT_TYPES: Final = frozenset({"hello", "signal", "ice", "pong", "leave", "ack", "stats"})
_SERVER_TYPES: Final = frozenset(
    {"welcome", "peer", "signal", "ok", "error", "ping", "ice", "draining"}
)
_PLACE = re.compile(r"at `(\$[^`]*)`")


def parse_client(text: str | bytes) -> ClientMessage:
    """Read a message of a client.

    Raises:
        BadMessage: The text is not a message, or a field is out of its bounds.
    """
    message = _decode(_client_decoder, _to_bytes(text, MAX_MESSAGE_BYTES), _CLIENT_TYPES)
    if isinstance(message, Hello):
        _check_hello(message)
    elif isinstance(message, Signal):
        check_data(message.data, message.id)
    return message


def parse_server(text: str | bytes) -> ServerMessage:
    """Read a message of a server.

    Raises:
        BadMessage: The text is not a message, or a field is out of its bounds. A client ignores
            messages that are `unsupported`: a newer server may send them.
    """
    message = _decode(_server_decoder, _to_bytes(text, MAX_SERVER_MESSAGE_BYTES), _SERVER_TYPES)
    if isinstance(message, SignalFrom):
        check_data(message.data, None)
    elif isinstance(message, PeerEvent):
        check_meta(message.meta, None)
    elif isinstance(message, Welcome):
        for peer in message.peers:
            check_meta(peer.meta, None)
    return message


def serialize(message: ClientMessage | ServerMessage) -> str:
    """Write a message as the text of one frame."""
    return _encoder.encode(message).decode()


def serialize_bytes(message: ClientMessage | ServerMessage) -> bytes:
    """Write a message as the UTF-8 of one text frame."""
    return _encoder.encode(message)


def _to_bytes(text: str | bytes, limit: int) -> bytes:
    # The first test saves the encoding of texts that are too long anyway.
    if len(text) <= limit:
        try:
            raw = text.encode() if isinstance(text, str) else text
        except UnicodeEncodeError:
            raise BadMessage(ErrorCode.BAD_MESSAGE, "the message is not UTF-8") from None
        if len(raw) <= limit:
            return raw
    raise BadMessage(ErrorCode.TOO_LARGE, f"a message has at most {limit} bytes")


_T = TypeVar("_T")


def _decode(decoder: msgspec.json.Decoder[_T], raw: bytes, known: frozenset[str]) -> _T:
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _bad_message(raw, error, known) from None


def _bad_message(raw: bytes, error: Exception, known: frozenset[str]) -> BadMessage:
    if isinstance(error, RecursionError):
        return BadMessage(ErrorCode.BAD_MESSAGE, "the message is nested too deeply")
    if isinstance(error, UnicodeError):
        return BadMessage(ErrorCode.BAD_MESSAGE, "the message is not UTF-8")
    try:
        envelope = _envelope_decoder.decode(raw)
    except (msgspec.ValidationError, RecursionError):
        return BadMessage(ErrorCode.BAD_MESSAGE, "the message is not a JSON object")
    except (msgspec.MsgspecError, UnicodeError):
        return BadMessage(ErrorCode.BAD_MESSAGE, "the message is not valid JSON")
    id = _usable_id(envelope.id)
    if not isinstance(envelope.t, str):
        return BadMessage(ErrorCode.BAD_MESSAGE, "the type `t` is missing", id=id)
    if envelope.t not in known:
        return BadMessage(ErrorCode.UNSUPPORTED, "this type of message is not known here", id=id)
    what = str(error)
    if "matching regex" in what:
        # The pattern itself does not help a person.
        place = _PLACE.search(what)
        what = f"Characters that are not allowed - at `{place[1] if place else '$'}`"
    return BadMessage(ErrorCode.BAD_MESSAGE, what[:300], id=id)


def _usable_id(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32:
        return value
    return None


def _check_hello(hello: Hello) -> None:
    if (hello.room is None) == (hello.code is None) or hello.code is False:
        wrong = "either `room` has a name, or `code` is true or a room's number"
        raise BadMessage(ErrorCode.BAD_MESSAGE, wrong, id=hello.id)
    check_meta(hello.meta, hello.id)
