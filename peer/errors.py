"""Every error of this package, as one tree of exceptions (floor 0).

* :exc:`PeerError`

  * :exc:`CodeError` -- the text is not a code
  * :exc:`ServerUnreachable` -- no signaling server answers there
  * :exc:`ServerRefused` -- the server said no (``code`` says why)
  * :exc:`WrongCode` -- the two sides did not use the same code or password

    * :exc:`Guessed` -- somebody tried a code or password and did not prove to know it
    * :exc:`TooManyGuesses` -- so many guesses failed that the room admits nobody for a while

  * :exc:`VerificationFailed` -- somebody tampered with the set-up of a link
  * :exc:`PeerLeft` -- the other side left before there was a link

    * :exc:`CodeSpent` -- and its visit has used up the code

  * :exc:`NoPath` -- there is no network path between the two machines
  * :exc:`LinkEnded` -- the link is over

    * :exc:`LinkClosed` -- in order: this side closed it, or the other side said goodbye
    * :exc:`LinkLost` -- it broke: the other side or its network vanished

  * :exc:`ChannelError`

    * :exc:`ChannelClosed` -- the channel is closed, so it can neither send nor receive
    * :exc:`ChannelOverflow` -- the reader was too slow, and messages were dropped
    * :exc:`MessageTooLarge` -- a message is larger than the other side accepts

  * :exc:`TransferError`

    * :exc:`Refused` -- the other side does not want the files
    * :exc:`UnsafeName` -- a file name is unsafe to write here
    * :exc:`IntegrityError` -- the data that arrived differs from the data that was sent
    * :exc:`DiskError` -- a file cannot be read or written here
    * :exc:`TransferCancelled` -- one side cancelled
    * :exc:`TransferBroken` -- it broke off and has to start anew

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


# Before the link exists


class CodeError(PeerError):
    """The text that was typed, pasted or passed is not a code."""

    code = "bad_code"
    exit_code = ExitCode.USAGE


class ServerUnreachable(PeerError):
    """No signaling server answers at that address, or it went away."""

    code = "server_unreachable"
    retryable = True
    exit_code = ExitCode.SERVER


class ServerRefused(PeerError):
    """The signaling server refused the request.

    Attributes:
        code: The server's word for it: ``no_such_room``, ``room_full``, ``rate_limited``, ...
        retryable: Whether the same request may succeed later, as the server says.
        retry_after: Seconds to wait before that; None when the server names no time.
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
    """Somebody tried the code or password and did not prove to know it."""

    code = "guessed"

    def __init__(
        self,
        message: str = "Somebody tried a wrong code, or left before proving to know it. "
        "The code is spent: make a new one.",
    ) -> None:
        super().__init__(message)


class TooManyGuesses(WrongCode):
    """So many wrong passwords were tried that the room admits nobody for a while."""

    code = "too_many_guesses"
    retryable = True

    def __init__(
        self,
        message: str = "Too many wrong passwords were tried in this room: nobody new is let in "
        "for up to an hour.",
    ) -> None:
        super().__init__(message)


class VerificationFailed(PeerError):
    """Somebody tampered with the set-up of a link, so it was stopped."""

    code = "verification_failed"
    exit_code = ExitCode.WRONG_CODE


class PeerLeft(PeerError):
    """The other side left before the link existed."""

    code = "peer_left"
    retryable = True
    exit_code = ExitCode.BROKEN_OFF

    def __init__(self, message: str = "The other side left before the link was set up.") -> None:
        super().__init__(message)


class CodeSpent(PeerLeft):
    """Somebody came with the number of the code and left, so nobody else can use it."""

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
        stage: The stage that took too long: ``join``, ``peer``, ``pake``, ``offer``, ``hello``, ...
    """

    code = "timeout"
    retryable = True
    exit_code = ExitCode.BROKEN_OFF

    def __init__(self, stage: str, message: str = "") -> None:
        super().__init__(message or "The other side did not answer in time.")
        self.stage = stage


class ProtocolError(PeerError):
    """The other side, or the server, broke the protocol."""

    code = "protocol"
    exit_code = ExitCode.UNEXPECTED


class NoPath(PeerError):
    """There is no network path between the two machines.

    Attributes:
        hint: Advice for a person; may be empty.
        conclusive: Whether another attempt with the same settings is pointless.
        reason: A word for the other side, if it cannot see the reason itself; empty otherwise.
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
    """A data channel failed; the link itself may be fine."""

    code = "channel"
    exit_code = ExitCode.BROKEN_OFF


class ChannelClosed(ChannelError):
    """The channel is closed, so it can neither send nor receive."""

    code = "channel_closed"

    def __init__(self, message: str = "The channel is closed.") -> None:
        super().__init__(message)


class ChannelOverflow(ChannelError):
    """The reader of a channel was too slow, and messages were dropped."""

    code = "channel_overflow"


class MessageTooLarge(ChannelError):
    """A message is larger than the other side accepts.

    Attributes:
        size: Size of the message, bytes.
        limit: Largest message that the other side accepts, bytes.
    """

    code = "message_too_large"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"A message of {size} bytes is over the other side's limit of {limit}.")
        self.size = size
        self.limit = limit


# Transfers


class TransferError(PeerError):
    """A transfer of files failed."""

    code = "transfer"
    exit_code = ExitCode.BROKEN_OFF


class Refused(TransferError):
    """The other side does not want the files.

    Attributes:
        code: The other side's reason: ``refused``, ``unsafe_name``, ``no_space``, ``busy``, ...
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
        index: Position of the entry in the manifest; None when it has none.
        reason: The fault, as the part of a sentence that follows the name.
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
    """The data that arrived differs from the data that was sent."""

    code = "integrity"
    retryable = True
    exit_code = ExitCode.INTEGRITY


class DiskError(TransferError):
    """A file cannot be read or written here: disk full, file exists, or no permission."""

    code = "disk"
    exit_code = ExitCode.DISK


class TransferCancelled(TransferError):
    """One side cancelled the transfer."""

    code = "cancelled"
    exit_code = ExitCode.REFUSED

    def __init__(self, message: str = "The transfer was cancelled.") -> None:
        super().__init__(message)


class TransferBroken(TransferError):
    """The transfer broke off with the link; whole files stay, and another run sends all again."""

    code = "broken"
    retryable = True

    def __init__(
        self,
        message: str = "The transfer broke off. Complete files are kept; send again to transfer "
        "everything.",
    ) -> None:
        super().__init__(message)
