"""The golden transcripts of set-ups, control and chat; they drive the JavaScript machines, too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.transcripts import channels
from tests.support.transcripts.files import load
from tests.support.transcripts.negotiation import outcomes


@pytest.mark.parametrize("transcript", load("negotiation"), ids=lambda each: each["name"])
def test_a_set_up_takes_the_course_of_its_transcript(transcript: dict[str, Any]) -> None:
    for number, (outcome, expected) in enumerate(outcomes(transcript)):
        assert outcome == expected, f"step {number}"


@pytest.mark.parametrize("transcript", load("control"), ids=lambda each: each["name"])
def test_a_control_channel_takes_the_course_of_its_transcript(transcript: dict[str, Any]) -> None:
    for number, (outcome, expected) in enumerate(channels.outcomes("control", transcript)):
        assert outcome == expected, f"step {number}"


@pytest.mark.parametrize("transcript", load("chat"), ids=lambda each: each["name"])
def test_a_chat_takes_the_course_of_its_transcript(transcript: dict[str, Any]) -> None:
    for number, (outcome, expected) in enumerate(channels.outcomes("chat", transcript)):
        assert outcome == expected, f"step {number}"
