"""The command `peerline` (floor 4): arguments, screens and exit statuses.

This module imports next to nothing, so that `peerline --help` answers at once. Each command is
imported when it is called, and a heavy library when the command needs it.

* `app`: the group of commands; `settings`: the config file; `options`: flags that commands share;
  `exit_status`: maps every error to a sentence and an exit status.
* `commands`: send, receive and chat; `serve` is in `signaling`.
* `rendezvous`, `server_addresses`: which signaling server two people meet on; `local_server`: the
  one that runs inside send and chat, and how it is found.
* `terminal`: the screen, progress, questions and wording.
* `startup`: hides secrets from other processes, and stubs libraries that no command uses.
"""

from __future__ import annotations

import sys

from .startup.secret_hiding import hide_secrets

TYPE_CHECKING = False  # as in `peer`

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit with its status; `argv` defaults to that of the process."""
    hide_secrets()  # first, because other users can read the arguments until then
    import gc

    # Modules are never freed: collecting them while they load takes 40 ms, and more at the end. A
    # transfer makes almost no cycles.
    gc.set_threshold(100_000)

    from .app import run
    from .startup.import_stubs import leave_out_unused
    from .terminal.output import guard

    guard()
    leave_out_unused()
    status = run(sys.argv[1:] if argv is None else list(argv))
    gc.freeze()
    sys.exit(status)
