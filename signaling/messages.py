"""The messages of `peerline.signal.v1`, and their JSON form (floor 0).

One JSON object a WebSocket text frame, `t` names its type. Fields that are not known are
ignored, so that a newer peer can talk to an older one; every known field has a bound.
`PROTOCOL.md` says what the messages mean; this module says what they look like.

Messages of a client: `Hello`, `Signal`, `Ice`, `Pong`, `Leave`, `Ack`, `Stats`.
Messages of a server: `Welcome`, `PeerEvent`, `SignalFrom`, `Ok`, `Error`, `Ping`, `IceUpdate`,
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
    """Base of all messages; fields at their default do not travel."""


# --- client to server -------------------------------------------------------------------------


class Resume(Struct, frozen=True, kw_only=True):
    """The session a client wants to continue."""

    session: Identifier
    token: Token
    last_seq: Seq

    def __repr__(self) -> str:
        return f"Resume(session={self.session!r}, token='...', last_seq={self.last_seq})"


class Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    """The first message: into which room.

    Attributes:
        room: a named room, or
        code: True for a new code room, its number (`"7"`) for one that is there.
        name: what others call this peer.
        meta: anything small that others should know; JSON object.
        token: for servers that ask who is there; never logged.
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
        to: the other's peer id.
        link: chosen at random by the earlier of the two; ASCII.
        gen: which connection under the link, from 0.
        kind: what it is for.
        data: opaque to the server (sealed, as a rule), at most 48 KiB of UTF-8.
    """

    to: Identifier
    link: LinkId
    gen: Generation
    kind: SignalKind
    data: str
    id: U32 | None = None


class Ice(_Message, frozen=True, kw_only=True, tag="ice"):
    """Asks for the ICE servers again (credentials may have been renewed)."""

    id: U32 | None = None


class Pong(_Message, frozen=True, kw_only=True, tag="pong"):
    """Answers `ping`."""


class Leave(_Message, frozen=True, kw_only=True, tag="leave"):
    """Goodbye, for good; the server closes the connection."""

    id: U32 | None = None


class Ack(_Message, frozen=True, kw_only=True, tag="ack"):
    """Everything up to `seq` has arrived and need not be kept for a resumed session."""

    seq: Seq


class Stats(_Message, frozen=True, kw_only=True, tag="stats"):
    """How an attempt to connect went; for the server's figures, answered with nothing.

    Attributes:
        link: the link's id.
        result: how it ended.
        open_ms: from the first signal to the open channel, in milliseconds.
        stage: where a failed attempt stood (`pake`, `ice`, `dtls`, ...).
    """

    link: LinkId
    result: Literal["direct", "relayed", "failed"]
    open_ms: U32 | None = None
    stage: Text64 | None = None


# --- server to client -------------------------------------------------------------------------


class PeerInfo(Struct, frozen=True, kw_only=True):
    """Somebody who is in the room.

    Attributes:
        peer: the id; ids sort, as strings, by arrival.
        state: `away` while a broken connection may still be resumed.
    """

    peer: Identifier
    name: Name | None = None
    meta: JsonObject | None = None
    state: Literal["online", "away"] = "online"


class IceOffer(Struct, frozen=True, kw_only=True):
    """The ICE servers a peer may use.

    Attributes:
        expires_at: when the credentials end, in seconds since 1970; None if they do not.
    """

    servers: tuple[IceServer, ...] = ()
    policy: IcePolicy = "all"
    expires_at: float | None = None


class Limits(Struct, frozen=True, kw_only=True):
    """Limits of the server, as it tells them to its clients.

    Attributes:
        message_bytes: longest message the server reads.
        data_bytes: longest `signal.data`, in bytes of UTF-8.
        rate: messages a second, in the long run.
        burst: messages at once.
        peers: places in this room.
        queue_bytes: how much may wait for a client that does not read.
    """

    message_bytes: int = MAX_MESSAGE_BYTES
    data_bytes: int = MAX_DATA_BYTES
    rate: float = 50.0
    burst: int = 100
    peers: int = 64
    queue_bytes: int = 1024 * 1024


class Heartbeat(Struct, frozen=True, kw_only=True):
    """The server pings every `interval` seconds and waits `timeout` seconds for life."""

    interval: Seconds = 20.0
    timeout: Seconds = 10.0


class Welcome(Struct, frozen=True, kw_only=True, tag_field="t", tag="welcome"):
    """The answer to `hello`: you are in.

    Attributes:
        session: names this session, for a later `resume`.
        resume_token: proves that it is ours; a secret.
        peer: the client's own peer id.
        room: the room's name, or its number.
        seq: the number of the last numbered message of this session; the next has one more.
        peers: who is there already, by arrival, without the client itself.
        resumed: this is the old session, and
        recovered: nothing was lost.
        code: the number, if this is a code room.
        id: as in `hello`.
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
    """Somebody came or went.

    Attributes:
        reason: with `left`, one of `LeaveReason`, or one that came later.
        name, meta: with `joined`.
        seq: the session's number for this message.
    """

    event: Literal["joined", "left", "away", "back"]
    peer: Identifier
    seq: Seq
    reason: Text64 | None = None
    name: Name | None = None
    meta: JsonObject | None = None


class SignalFrom(_Message, frozen=True, kw_only=True, tag="signal"):
    """A `signal` as it arrives: as it was sent, and `from`, which the server vouches for."""

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
    """A message was not carried out.

    Attributes:
        code: one of `ErrorCode`, or one that came later.
        message: one sentence for people.
        retryable: the same message may work later, not before
        retry_after: so many seconds.
        id: the message's, if it had one that could be read.
    """

    code: Text64
    message: Text500
    retryable: bool
    retry_after: Seconds | None = None
    id: U32 | None = None


class Ping(_Message, frozen=True, kw_only=True, tag="ping"):
    """Answer with `pong`, or the server takes the connection for dead."""


class IceUpdate(_Message, frozen=True, kw_only=True, tag="ice"):
    """The ICE servers, asked for with `ice` or renewed by the server."""

    ice: IceOffer
    id: U32 | None = None


class Draining(_Message, frozen=True, kw_only=True, tag="draining"):
    """The server is going away; it will close the connection with 4200.

    Attributes:
        after: seconds until it does.
    """

    after: Seconds = 0.0


ClientMessage: TypeAlias = Hello | Signal | Ice | Pong | Leave | Ack | Stats
ServerMessage: TypeAlias = (
    Welcome | PeerEvent | SignalFrom | Ok | Error | Ping | IceUpdate | Draining
)

# --- to and from JSON -------------------------------------------------------------------------


class _Envelope(Struct):
    """As much of a bad message as its answer needs."""

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
    """Read a message that a client sent.

    Raises:
        BadMessage: it is not one, or a field is out of its bounds.
    """
    message = _decode(_client_decoder, _to_bytes(text, MAX_MESSAGE_BYTES), _CLIENT_TYPES)
    if isinstance(message, Hello):
        _check_hello(message)
    elif isinstance(message, Signal):
        check_data(message.data, message.id)
    return message


def parse_server(text: str | bytes) -> ServerMessage:
    """Read a message that a server sent.

    Raises:
        BadMessage: it is not one, or a field is out of its bounds. A client ignores messages
            that are `unsupported`: a newer server may send them.
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
    # The first test spares encoding what is too long anyway.
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
        # The pattern itself tells a person nothing.
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
