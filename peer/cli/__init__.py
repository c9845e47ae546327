"""The command ``peerline`` (floor 4): what a person types, reads and gets back as exit status.

This module imports next to nothing, so that ``peerline --help`` answers at once; each command
is imported when it is called, and the heavy libraries when the command needs them.

* ``app`` -- the group of commands; ``settings`` -- flags, environment and config file
* ``send``, ``receive``, ``chat``, ``serve`` -- the commands
* ``meeting`` -- which signaling server two people meet on; ``embedded``, ``registry``,
  ``lan``, ``tls`` -- the server that lives inside ``send`` and ``chat``, and how it is found
* ``screen``, ``progress``, ``prompts``, ``qr``, ``text``, ``lines`` -- the terminal
* ``lean`` -- leaves out what the heavy libraries load and no command uses
* ``process`` -- keeps secrets out of what other processes see of this one; ``output`` -- keeps
  control characters out of the terminal
* ``exits`` -- the one place where an error becomes a sentence and an exit status
"""

from __future__ import annotations

import sys

from .process import hide_secrets

TYPE_CHECKING = False  # as in `peer`

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status; ``argv`` defaults to the process's own."""
    hide_secrets()  # before anything that takes time
    import gc

    # Modules stay: to go through them again and again while they load takes 40 ms, and some more
    # at the end. A transfer leaves the collector next to nothing to do.
    gc.set_threshold(100_000)

    from .app import run
    from .import_stubs import leave_out_unused
    from .terminal.output import guard

    guard()
    leave_out_unused()
    status = run(sys.argv[1:] if argv is None else list(argv))
    gc.freeze()
    sys.exit(status)
