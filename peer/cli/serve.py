"""``peerline serve``: the signaling server, as ``python -m signaling`` runs it."""

from __future__ import annotations

from signaling.cli import serve

__all__ = ["serve"]
