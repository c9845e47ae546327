r"""The association's state machine as a table (RFC 9260, 4).

Every change of state is a row of :data:`TRANSITIONS`. An event without a row in the present state
is a bug of this package, not of the peer: the handlers decide which chunks a state accepts before
they fire an event.

::

    CLOSED --connect--> COOKIE_WAIT --INIT ACK--> COOKIE_ECHOED --COOKIE ACK--> ESTABLISHED
       \\------------------------ COOKIE ECHO (from any of the three) ---------------^
       \\------------------- INIT chunks exchanged by signaling --------------------^

    ESTABLISHED --shutdown()--> SHUTDOWN_PENDING --all acked--> SHUTDOWN_SENT --ACK--> CLOSED
    ESTABLISHED --SHUTDOWN--> SHUTDOWN_RECEIVED --all acked--> SHUTDOWN_ACK_SENT --> CLOSED
"""

from __future__ import annotations

import enum
import logging

__all__ = ["SETTING_UP", "TRANSITIONS", "State", "StateEvent", "StateMachine"]

logger = logging.getLogger(__name__)


class State(enum.Enum):
    """States of RFC 9260, 4; ENDED is the CLOSED state after the end."""

    CLOSED = "closed"
    COOKIE_WAIT = "cookie wait"
    COOKIE_ECHOED = "cookie echoed"
    ESTABLISHED = "established"
    SHUTDOWN_PENDING = "shutdown pending"
    SHUTDOWN_SENT = "shutdown sent"
    SHUTDOWN_RECEIVED = "shutdown received"
    SHUTDOWN_ACK_SENT = "shutdown ack sent"
    ENDED = "ended"


class StateEvent(enum.Enum):
    """Events that change the state."""

    CONNECT = "connect"
    INITS_SIGNALED = "INIT chunks exchanged by signaling"
    INIT_ACK = "INIT ACK accepted"
    COOKIE_ECHO = "COOKIE ECHO accepted"
    COOKIE_ACK = "COOKIE ACK received"
    STALE_COOKIE = "our cookie was stale"
    SHUTDOWN_REQUESTED = "shutdown requested"
    SHUTDOWN_RECEIVED = "SHUTDOWN received"
    ALL_ACKED = "everything acknowledged"
    END = "the end"


SETTING_UP = frozenset({State.COOKIE_WAIT, State.COOKIE_ECHOED})

_E = StateEvent
_S = State

TRANSITIONS: dict[State, dict[StateEvent, State]] = {
    _S.CLOSED: {
        _E.CONNECT: _S.COOKIE_WAIT,
        _E.INITS_SIGNALED: _S.ESTABLISHED,
        _E.COOKIE_ECHO: _S.ESTABLISHED,
        _E.END: _S.ENDED,
    },
    _S.COOKIE_WAIT: {
        _E.INIT_ACK: _S.COOKIE_ECHOED,
        _E.COOKIE_ECHO: _S.ESTABLISHED,
        _E.END: _S.ENDED,
    },
    _S.COOKIE_ECHOED: {
        _E.COOKIE_ACK: _S.ESTABLISHED,
        _E.COOKIE_ECHO: _S.ESTABLISHED,
        _E.STALE_COOKIE: _S.COOKIE_WAIT,
        _E.END: _S.ENDED,
    },
    _S.ESTABLISHED: {
        _E.COOKIE_ECHO: _S.ESTABLISHED,
        _E.SHUTDOWN_REQUESTED: _S.SHUTDOWN_PENDING,
        _E.SHUTDOWN_RECEIVED: _S.SHUTDOWN_RECEIVED,
        _E.END: _S.ENDED,
    },
    _S.SHUTDOWN_PENDING: {
        _E.COOKIE_ECHO: _S.ESTABLISHED,
        _E.SHUTDOWN_RECEIVED: _S.SHUTDOWN_RECEIVED,
        _E.ALL_ACKED: _S.SHUTDOWN_SENT,
        _E.END: _S.ENDED,
    },
    _S.SHUTDOWN_SENT: {
        _E.COOKIE_ECHO: _S.ESTABLISHED,
        # Both sides shut down at once (RFC 9260, 9.2): answer with SHUTDOWN ACK.
        _E.SHUTDOWN_RECEIVED: _S.SHUTDOWN_ACK_SENT,
        _E.END: _S.ENDED,
    },
    _S.SHUTDOWN_RECEIVED: {
        _E.COOKIE_ECHO: _S.ESTABLISHED,
        _E.ALL_ACKED: _S.SHUTDOWN_ACK_SENT,
        _E.END: _S.ENDED,
    },
    _S.SHUTDOWN_ACK_SENT: {_E.END: _S.ENDED},
    _S.ENDED: {},
}


class StateMachine:
    """Holds the present state and changes it by the table."""

    __slots__ = ("may_receive_data", "may_send_data", "state")

    def __init__(self) -> None:
        self.state = State.CLOSED
        self.may_send_data = False
        """Whether queued data may be sent (RFC 9260, 6)."""
        self.may_receive_data = False
        """Whether data from the peer is accepted, or else discarded (RFC 9260, 6 and 9.2)."""

    def fire(self, event: StateEvent) -> State:
        """Move to the next state and return it."""
        try:
            state = TRANSITIONS[self.state][event]
        except KeyError:
            raise AssertionError(f"{event.value!r} in state {self.state.value!r}") from None
        if state is not self.state:
            logger.debug("= %s -> %s (%s)", self.state.value, state.value, event.value)
        self.state = state
        self.may_send_data = state in _SENDING
        self.may_receive_data = state in _RECEIVING
        return state


_SENDING = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_RECEIVED})
_RECEIVING = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_SENT})
