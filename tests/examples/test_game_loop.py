"""The game example: both players end in the same world."""

from __future__ import annotations

import pytest

from tests.examples.conftest import StartExample
from tests.support.processes.terminal import Piped

REACH = 2.0
STEP = 20 / 30


def places(player: Piped) -> tuple[complex, complex]:
    """Where a player stopped, and where it saw the other one stop."""
    assert player.wait() == 0
    assert player.err.text == ""
    found = player.out.expect(r"^I stopped at (\S+), the other player at (\S+)\.$")
    return complex(found[1]), complex(found[2])


@pytest.mark.parametrize(("first", "second"), [("0+0j", "12+16j"), ("5+5j", "5+5j")])
def test_players_meet_and_agree_on_where(start: StartExample, first: str, second: str) -> None:
    alice = start("game_loop", "--start", first)
    code = alice.out.expect(r"^Code: (\S+)$")[1]
    bob = start("game_loop", "--start", second, "--code", code)
    alices, bobs = places(alice), places(bob)
    assert alices == (bobs[1], bobs[0])
    assert abs(alices[0] - alices[1]) <= REACH + STEP
    # They ran towards each other on the line between their starts, both of them.
    for place, begun in zip(alices, (complex(first), complex(second)), strict=True):
        way = abs(complex(second) - complex(first))
        assert abs(place - begun) < max(way, STEP)
        assert way <= REACH or abs(place - begun) > STEP
