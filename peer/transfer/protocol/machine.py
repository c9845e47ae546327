"""Base of the two machines of a transfer (floor 1).

After each call into a machine, its driver drains `next_event`, `messages_to_send` and (of a sender)
`blocks_to_send` until they are empty. A machine never waits, does no I/O and never raises because
of input from the other side: a violation ends the transfer with a `Failed` event and a `cancel`
message.
"""

from __future__ import annotations

import logging
from collections import deque
from enum import Enum
from typing import ClassVar, Generic, TypeVar

from peer.text import show_name

from .config import SEGMENT_SIZE, SMALL_CREDIT
from .events import Declined, Event, Failed
from .manifest import Manifest
from .messages import Cancel, Message, serialize_message

__all__ = ["MAX_SENTENCE", "Machine", "Trigger", "Violation", "credit"]

logger = logging.getLogger(__name__)

MAX_SENTENCE = 300
"""Longest sentence of the other side that is passed on, in characters."""


class Trigger(Enum):
    """Inputs of the state table; named after the message where there is one."""

    OFFER = "offer"
    OFFER_END = "the last page of the offer"
    HAVE = "have"
    ACCEPT = "accept"
    DECLINE = "decline"
    BLOCK = "a block"
    ACK = "ack"
    RETRY = "retry"
    FILE_DONE = "file_done"
    SKIP = "skip"
    DONE = "done"
    CANCEL = "cancel"


class Violation(Exception):
    """The other side violated the protocol. Raised and caught inside the machines."""

    def __init__(self, reason: str, code: str = "protocol") -> None:
        super().__init__(reason)
        self.code = code


def credit(manifest: Manifest, file: int, version: int) -> int:
    """Bytes of the window that a segment of a file takes while it is in flight.

    In version 1 that is a whole segment, whatever its length. In version 2 a file of one segment
    takes its size, and at least `SMALL_CREDIT`, so that the number of files stays bounded, too.
    """
    size = manifest.size(file)
    if version < 2 or size > SEGMENT_SIZE:
        return SEGMENT_SIZE
    return max(size, SMALL_CREDIT)


State = TypeVar("State", bound=Enum)


class Machine(Generic[State]):
    """State, outgoing messages and events of one side of one transfer."""

    TRANSITIONS: ClassVar[dict[Enum, dict[Trigger, Enum]]]
    """Allowed inputs of each state, and the next state. A state without any is final."""

    FAILED: ClassVar[Enum]
    """State after a failure."""

    def __init__(self, transfer: int, state: State) -> None:
        self.transfer = transfer
        """Id of the transfer on its link."""
        self._state: State = state
        self._events: deque[Event] = deque()
        self._messages: list[str] = []

    @property
    def state(self) -> State:
        """Where this side of the transfer stands."""
        return self._state

    @property
    def ended(self) -> bool:
        """Whether the transfer is over."""
        return not self.TRANSITIONS[self._state]

    @property
    def busy(self) -> bool:
        """Whether `next_event` or `messages_to_send` has something to return."""
        return bool(self._events or self._messages)

    def next_event(self) -> Event | None:
        """Take the oldest event; None if no event is pending."""
        return self._events.popleft() if self._events else None

    def messages_to_send(self) -> list[str]:
        """Take some control messages, in order; call again until the list is empty."""
        messages, self._messages = self._messages, []
        return messages

    def cancel(self, code: str = "cancelled", message: str = "") -> None:
        """End the transfer from this side; no effect after its end.

        Args:
            code: `cancelled`, or `disk` for a local disk error.
            message: A sentence for the person on the other side.
        """
        self._fail(code, message)

    def disk_failed(self, message: str) -> None:
        """Report that a file cannot be read or written: ends the transfer with code `disk`.

        Args:
            message: A sentence for the person on the other side, without private paths.
        """
        self._fail("disk", message)

    def _send(self, message: Message) -> None:
        self._messages.append(serialize_message(message))

    def _move(self, trigger: Trigger) -> None:
        """Apply an input to the state table.

        Raises:
            Violation: The table has no such transition.
        """
        state = self.TRANSITIONS[self._state].get(trigger)
        if state is None:
            raise Violation(f"{trigger.value} while {self._state.value}")
        self._set_state(state)

    def _set_state(self, state: Enum) -> None:
        if state is not self._state:
            logger.debug("transfer %d: %s -> %s", self.transfer, self._state.value, state.value)
            self._state = state  # type: ignore[assignment]  # the table is typed by Enum only

    def _fail(self, code: str, message: str) -> None:
        """End the transfer with a failure, and inform both sides."""
        if not self.ended:
            self._end(self.FAILED, Failed(code, message, remote=False))
            self._send(Cancel(transfer=self.transfer, code=code, message=message[:1000]))

    def _ended_by_peer(self, message: Cancel) -> None:
        sentence = show_name(message.message, MAX_SENTENCE)
        self._end(self.FAILED, Failed(show_name(message.code), sentence, remote=True))

    def _end(self, state: Enum, event: Failed | Declined) -> None:
        """Drop all pending events and messages."""
        self._set_state(state)
        self._events.clear()
        self._messages.clear()
        self._release()
        self._events.append(event)

    def _release(self) -> None:
        """Release buffers and counters at the end of the transfer."""
        raise NotImplementedError
