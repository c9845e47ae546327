"""`python -m peer.cli` runs `peerline`."""

from __future__ import annotations

from . import main

if __name__ == "__main__":
    main()
