"""The golden transcripts of set-ups, which the JavaScript machine is driven by, too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.transcripts.files import load
from tests.support.transcripts.negotiation import outcomes


@pytest.mark.parametrize("transcript", load("negotiation"), ids=lambda each: each["name"])
def test_a_set_up_takes_the_course_of_its_transcript(transcript: dict[str, Any]) -> None:
    for number, (outcome, expected) in enumerate(outcomes(transcript)):
        assert outcome == expected, f"step {number}"
