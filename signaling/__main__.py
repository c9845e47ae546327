"""`python -m signaling`: the signaling server by itself (floor 4)."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
