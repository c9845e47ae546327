"""Everything that can go wrong, as one tree of exceptions (floor 0).

* :exc:`PeerError`

  * :exc:`CodeError` -- what was typed is not a code
  * :exc:`ServerUnreachable` -- no signaling server answers there
  * :exc:`ServerRefused` -- the server said no (``code`` says why)
  * :exc:`WrongCode` -- the two sides did not use the same code or password

    * :exc:`Guessed` -- somebody tried a code or password, and did not prove to know it
    * :exc:`TooManyGuesses` -- so many have that nobody new is let in for a while

  * :exc:`VerificationFailed` -- somebody meddled with the set-up of a link
  * :exc:`PeerLeft` -- the other side left before there was a link

    * :exc:`CodeSpent` -- it had used up the code by coming

  * :exc:`NoPath` -- no way between the two machines was found
  * :exc:`LinkEnded` -- the link is over

    * :exc:`LinkClosed` -- in order: this side closed it, or the other side said goodbye
    * :exc:`LinkLost` -- it broke: the other side or its network vanished

  * :exc:`ChannelError`

    * :exc:`ChannelClosed` -- the channel is closed, so it can neither send nor receive
    * :exc:`ChannelOverflow` -- more arrived than the reader took, and messages were dropped
    * :exc:`MessageTooLarge` -- a message is larger than what the other side accepts

  * :exc:`TransferError`

    * :exc:`Refused` -- the other side does not want the files
    * :exc:`UnsafeName` -- a file name is unsafe to write here
    * :exc:`IntegrityError` -- what arrived is not what was sent
    * :exc:`DiskError` -- a file cannot be read or written here
    * :exc:`TransferCancelled` -- one side cancelled
    * :exc:`TransferBroken` -- it broke off, and is to be run again from the start

  * :exc:`PeerTimeout` -- a stage of the set-up took too long (``stage`` names it)
  * :exc:`ProtocolError` -- the other side broke the protocol

Each error carries three things for programs: ``code``, a word that stays the same between
releases; ``retryable``, whether the same call may succeed later although nobody changes anything;
``exit_code``, the status with which the command ends (``peerline --help`` lists them). Its text is
one plain sentence for a person. `tests/vectors/errors.json` has the codes of both languages.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Literal

__all__ = [
    "ChannelClosed",
    "ChannelError",
    "ChannelOverflow",
    "CodeError",
    "CodeSpent",
    "DiskError",
    "ExitCode",
    "Guessed",
    "IntegrityError",
    "LinkClosed",
    "LinkEnded",
    "LinkLost",
    "MessageTooLarge",
    "NoPath",
    "PeerError",
    "PeerLeft",
    "PeerTimeout",
    "ProtocolError",
    "Refused",
    "ServerRefused",
    "ServerUnreachable",
    "TooManyGuesses",
    "TransferBroken",
    "TransferCancelled",
    "TransferError",
    "UnsafeName",
    "VerificationFailed",
    "WrongCode",
]


class ExitCode(IntEnum):
    """Statuses with which the command ends."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    SERVER = 3
    """The server is unreachable, or refused."""
    WRONG_CODE = 4
    """Wrong code, or failed verification."""
    REFUSED = 5
    """Refused by the other side."""
    NO_PATH = 6
    """No network path to the other side."""
    BROKEN_OFF = 7
    """Broken off: whole files stay, and another run sends everything again."""
    INTEGRITY = 8
    DISK = 9
    """Disk full, file exists, or no permission."""
    LEFT_OUT = 10
    """Done, but something was left out: it could not be read, or the other side cannot hold it."""
    INTERRUPTED = 130


class PeerError(Exception):
    """Base class of every error that this package raises on purpose.

    Attributes:
        code: A word for programs, the same in every release: ``wrong_code``, ``no_path``, ...
        retryable: Whether the same call may succeed later although nobody changes anything.
        exit_code: The status with which the command ends.
    """

    code: str = "unexpected"
    retryable: bool = False
    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED


# Before there is a link


class CodeError(PeerError):
    """What was typed, pasted or passed is not a code."""

    code = "bad_code"
    exit_code = ExitCode.USAGE


class ServerUnreachable(PeerError):
    """No signaling server answers at that address, or it went away."""

    code = "server_unreachable"
    retryable = True
    exit_code = ExitCode.SERVER


class ServerRefused(PeerError):
    """The signaling server said no.

    Attributes:
        code: the protocol's word for it: ``no_such_room``, ``room_full``, ``rate_limited``, ...
        retryable: whether the server says that the same request may succeed later.
        retry_after: seconds to wait before that; None when the server names no time.
    """

    code = "server_refused"
    exit_code = ExitCode.SERVER

    def __init__(
        self,
        code: str,
        message: str = "",
        retry_after: float | None = None,
        *,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message or f"The server refused: {code.replace('_', ' ')}.")
        self.code = code
        self.retry_after = retry_after
        self.retryable = retry_after is not None if retryable is None else retryable


class WrongCode(PeerError):
    """The two sides did not use the same code (or password)."""

    code = "wrong_code"
    exit_code = ExitCode.WRONG_CODE

    def __init__(
        self,
        message: str = "The code does not match the other side's. It is spent: make a new one.",
    ) -> None:
        super().__init__(message)


class Guessed(WrongCode):
    """Somebody tried the code or password, and did not prove to know it."""

    code = "guessed"

    def __init__(
        self,
        message: str = "Somebody tried a wrong code, or left before proving to know it. "
        "The code is spent: make a new one.",
    ) -> None:
        super().__init__(message)


class TooManyGuesses(WrongCode):
    """Wrong passwords have been tried so often that nobody new is let in for a while."""

    code = "too_many_guesses"
    retryable = True

    def __init__(
        self,
        message: str = "Too many wrong passwords were tried in this room: nobody new is let in "
        "for up to an hour.",
    ) -> None:
        super().__init__(message)


class VerificationFailed(PeerError):
    """The set-up of a link was tampered with, so it was given up."""

    code = "verification_failed"
    exit_code = ExitCode.WRONG_CODE


class PeerLeft(PeerError):
    """The other side left before there was a link to it."""

    code = "peer_left"
    retryable = True
    exit_code = ExitCode.BROKEN_OFF

    def __init__(self, message: str = "The other side left before the link was set up.") -> None:
        super().__init__(message)


class CodeSpent(PeerLeft):
    """Somebody came with the number of the code and left: nobody else can use it."""

    code = "code_spent"
    retryable = False
    exit_code = ExitCode.WRONG_CODE

    def __init__(
        self,
        message: str = "Somebody came with this code's number and left without proving to know "
        "the code. It is spent: make a new one.",
    ) -> None:
        super().__init__(message)


class PeerTimeout(PeerError):
    """A stage of the set-up took too long.

    Attributes:
        stage: what was being waited for: ``join``, ``peer``, ``pake``, ``offer``, ``hello``, ...
    """

    code = "timeout"
    retryable = True
    exit_code = ExitCode.BROKEN_OFF

    def __init__(self, stage: str, message: str = "") -> None:
        super().__init__(message or f"The other side did not answer in time ({stage}).")
        self.stage = stage


class ProtocolError(PeerError):
    """The other side, or the server, sent what the protocol does not allow."""

    code = "protocol"
    exit_code = ExitCode.UNEXPECTED


class NoPath(PeerError):
    """No network path between the two machines was found.

    Attributes:
        hint: what a person may do about it; empty when there is nothing to suggest.
        conclusive: whether another attempt with the same settings is pointless.
        reason: a word for the other side, which cannot see why; empty when it sees for itself.
    """

    code = "no_path"
    retryable = True
    exit_code = ExitCode.NO_PATH

    def __init__(
        self,
        message: str = "No network path to the other side was found.",
        hint: str = "",
        *,
        conclusive: bool = False,
        reason: Literal["", "no_relay", "no_address"] = "",
    ) -> None:
        super().__init__(f"{message} {hint}".strip())
        self.retryable = not conclusive
        self.hint = hint
        self.conclusive = conclusive
        self.reason = reason


# Links and channels


class LinkEnded(PeerError):
    """The link is over: closed in order (`LinkClosed`), or broken (`LinkLost`)."""

    code = "ended"
    exit_code = ExitCode.BROKEN_OFF

    def __init__(self, message: str = "The link is over.") -> None:
        super().__init__(message)


class LinkLost(LinkEnded):
    """The link broke: the other side vanished, or its network did."""

    code = "lost"
    retryable = True

    def __init__(self, message: str = "The link to the other side broke off.") -> None:
        super().__init__(message)


class LinkClosed(LinkEnded):
    """The link is closed: this side closed it, or the other side said goodbye.

    Attributes:
        code: ``closed`` if this side closed it; otherwise the other side's reason, ``bye`` unless
            it gave another.
    """

    code = "closed"

    def __init__(self, message: str = "The link is closed.", code: str = "closed") -> None:
        super().__init__(message)
        self.code = code


class ChannelError(PeerError):
    """Something is wrong with one data channel; the link itself may be fine."""

    code = "channel"
    exit_code = ExitCode.BROKEN_OFF


class ChannelClosed(ChannelError):
    """The channel is closed, so it can neither send nor receive."""

    code = "channel_closed"

    def __init__(self, message: str = "The channel is closed.") -> None:
        super().__init__(message)


class ChannelOverflow(ChannelError):
    """More arrived on a channel than its reader took, and messages were dropped."""

    code = "channel_overflow"


class MessageTooLarge(ChannelError):
    """A message is larger than what the other side accepts.

    Attributes:
        size: of the message, in bytes.
        limit: of the other side, in bytes.
    """

    code = "message_too_large"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"A message of {size} bytes is over the other side's limit of {limit}.")
        self.size = size
        self.limit = limit


# Transfers


class TransferError(PeerError):
    """A transfer of files did not reach its end."""

    code = "transfer"
    exit_code = ExitCode.BROKEN_OFF


class Refused(TransferError):
    """The other side does not want the files.

    Attributes:
        code: its reason: ``refused``, ``unsafe_name``, ``no_space``, ``too_many``, ...
    """

    code = "refused"
    exit_code = ExitCode.REFUSED

    def __init__(
        self, message: str = "The other side refused the files.", code: str = "refused"
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = code == "busy"


class UnsafeName(TransferError):
    """A file name is unsafe to write, here or on the other side.

    Attributes:
        index: the entry's position in the manifest; None when it has none.
        reason: what is wrong with it, to follow its name in a sentence.
    """

    code = "unsafe_name"
    exit_code = ExitCode.REFUSED

    def __init__(
        self, message: str = "A file name is unsafe.", index: int | None = None, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.index = index
        self.reason = reason


class IntegrityError(TransferError):
    """What arrived is not what was sent."""

    code = "integrity"
    retryable = True
    exit_code = ExitCode.INTEGRITY


class DiskError(TransferError):
    """A file cannot be read or written here: full, exists, or no permission."""

    code = "disk"
    exit_code = ExitCode.DISK


class TransferCancelled(TransferError):
    """One side cancelled the transfer."""

    code = "cancelled"
    exit_code = ExitCode.REFUSED

    def __init__(self, message: str = "The transfer was cancelled.") -> None:
        super().__init__(message)


class TransferBroken(TransferError):
    """The transfer broke off with the link; whole files stay, another run sends everything."""

    code = "broken"
    retryable = True

    def __init__(
        self,
        message: str = "The transfer broke off. Whole files stay; run it again to send all anew.",
    ) -> None:
        super().__init__(message)
