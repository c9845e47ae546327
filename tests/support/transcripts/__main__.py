"""Writes the golden transcripts: `python -m tests.support.transcripts`."""

from __future__ import annotations

from . import channels, negotiation_scripts
from .channel_scripts import CHAT, CONTROL
from .files import write

write("negotiation", negotiation_scripts.ABOUT, negotiation_scripts.transcripts())
write("control", channels.ABOUT, channels.made("control", CONTROL))
write("chat", channels.ABOUT, channels.made("chat", CHAT))
