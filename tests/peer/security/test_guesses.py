"""Counting guesses: the budget of a code or a room, and the line before it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.security.guesses import Guesses, Verdict
from tests.support.security import vectors

VECTORS = vectors.load("guesses.json")


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_vectors(case: dict[str, Any]) -> None:
    guesses = Guesses(case["limit"], case["window"])
    for step in case["steps"]:
        at, do = step["at"], step["do"]
        decided = [] if do == "look" else getattr(guesses, do)(step["run"], at)
        assert [[run, verdict.value] for run, verdict in decided] == step["decided"], step
        assert guesses.count(at) == step["count"], step
        assert guesses.is_spent(at) is step["spent"], step


def test_a_budget_has_at_least_one_guess() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Guesses(0)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["ask", "proved", "over"]), st.integers(0, 9)), max_size=80),
)
def test_whatever_happens_no_more_runs_go_without_proof_than_the_limit(
    limit: int, steps: list[tuple[str, int]]
) -> None:
    guesses, unproved, let_go = Guesses(limit), 0, set()
    for now, (do, run) in enumerate(steps):
        if do == "proved" and run in let_go:
            unproved -= 1
        if do != "ask":
            let_go.discard(run)
        for decided, verdict in getattr(guesses, do)(run, now):
            if verdict is Verdict.GO:
                unproved += 1
                let_go.add(decided)
        assert unproved == guesses.count(now) <= limit


@given(st.integers(1, 4), st.integers(0, 12), st.data())
def test_nobody_waits_once_the_others_have_ended(
    limit: int, newcomers: int, data: st.DataObject
) -> None:
    guesses, going, decided = Guesses(limit), [], 0
    for run in range(newcomers):
        going += [run for run, _ in guesses.ask(run, 0.0)]
    while going:
        run = going.pop(data.draw(st.integers(0, len(going) - 1)))
        end = data.draw(st.sampled_from([guesses.proved, guesses.over]))
        decided += 1
        for next_run, verdict in end(run, 1.0):
            if verdict is Verdict.GO:
                going.append(next_run)
            else:
                decided += 1
    assert decided == newcomers
