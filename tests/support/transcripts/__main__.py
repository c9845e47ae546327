"""Writes the golden transcripts: `python -m tests.support.transcripts`."""

from __future__ import annotations

from . import negotiation_scripts
from .files import write

write("negotiation", negotiation_scripts.ABOUT, negotiation_scripts.transcripts())
