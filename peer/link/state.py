r"""The state machine of a link as a table (floor 1).

::

    OPEN --close--> CLOSING --end--> ENDED --released--> RELEASED
      \-------------- end ------------^
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["TRANSITIONS", "LinkEvent", "LinkState"]


class LinkState(Enum):
    """States of a link."""

    OPEN = "open"
    CLOSING = "closing"
    """The program asked for the end: messages that were sent arrive first, then the goodbye."""
    ENDED = "ended"
    """Closed or lost; the connection under it is being closed."""
    RELEASED = "released"
    """Nothing of it is left."""


class LinkEvent(Enum):
    """Causes of a change of state."""

    CLOSE = "close"
    """The program closes the link."""
    END = "end"
    """A goodbye was sent or received, the connection broke, or the other side is at fault."""
    RELEASE = "release"
    """The connection under it is closed."""


_S = LinkState
_E = LinkEvent

TRANSITIONS: Final[dict[LinkState, dict[LinkEvent, LinkState]]] = {
    _S.OPEN: {_E.CLOSE: _S.CLOSING, _E.END: _S.ENDED},
    _S.CLOSING: {_E.CLOSE: _S.CLOSING, _E.END: _S.ENDED},
    _S.ENDED: {_E.CLOSE: _S.ENDED, _E.END: _S.ENDED, _E.RELEASE: _S.RELEASED},
    _S.RELEASED: {_E.CLOSE: _S.RELEASED, _E.END: _S.RELEASED},
}
