"""The error tree: one base, a complete docstring, the exit codes of the command."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest

from peer import errors
from peer.errors import ExitCode, PeerError

TABLE = Path(__file__).parents[1] / "vectors" / "errors.json"
CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, Exception)
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_is_a_peer_error_with_an_exit_code(cls: type[Exception]) -> None:
    assert issubclass(cls, PeerError)
    assert cls.exit_code in ExitCode
    assert cls.exit_code is not ExitCode.DONE


def test_the_docstring_shows_the_whole_tree_in_its_true_shape() -> None:
    assert errors.__doc__ is not None
    entries = re.findall(r"^( *)\* :exc:`(\w+)`", errors.__doc__, re.MULTILINE)
    assert {name for _, name in entries} == {cls.__name__ for cls in CLASSES}
    parents: list[str] = []
    for indent, name in entries:
        depth = len(indent) // 2
        del parents[depth:]
        base = getattr(errors, name).__bases__[0].__name__
        assert base == (parents[-1] if parents else "Exception"), name
        parents.append(name)


def test_all_names_every_public_class() -> None:
    assert set(errors.__all__) == {cls.__name__ for cls in CLASSES} | {"ExitCode"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.CodeError("no"), 2),
        (errors.ServerUnreachable("no"), 3),
        (errors.ServerRefused("room_full"), 3),
        (errors.WrongCode(), 4),
        (errors.VerificationFailed("no"), 4),
        (errors.Refused(), 5),
        (errors.NoPath(), 6),
        (errors.LinkLost(), 7),
        (errors.TransferBroken(), 7),
        (errors.IntegrityError("no"), 8),
        (errors.DiskError("no"), 9),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_exit_codes_are_those_of_the_manual(error: PeerError, status: int) -> None:
    assert error.exit_code == status


def test_errors_without_arguments_still_say_one_sentence() -> None:
    for cls in CLASSES:
        if cls.__init__ is Exception.__init__:
            continue
        parameters = inspect.signature(cls).parameters.values()
        if all(p.default is not p.empty for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD):
            text = str(cls())
            assert not text or text.endswith("."), cls


def test_codes_and_retryable_are_those_of_the_shared_table() -> None:
    table = {entry["code"]: entry for entry in json.loads(TABLE.read_text("utf-8"))["errors"]}
    ours = {cls.code: cls for cls in CLASSES if issubclass(cls, PeerError)}
    assert len(ours) == len(CLASSES), "two classes have one code"
    named = {code: entry["python"] for code, entry in table.items() if entry["python"]}
    assert named == {code: cls.__name__ for code, cls in ours.items()}
    for code, cls in ours.items():
        assert cls.retryable is table[code]["retryable"], code


def test_what_is_known_of_one_error_decides_whether_it_is_retryable() -> None:
    assert errors.NoPath().retryable
    assert not errors.NoPath(conclusive=True).retryable
    assert not errors.ServerRefused("forbidden").retryable
    assert errors.ServerRefused("rate_limited", retry_after=2.5).retryable
    assert errors.ServerRefused("over_capacity", retryable=True).retryable
    assert not errors.Refused(code="no_space").retryable
    assert errors.Refused(code="busy").retryable


def test_an_orderly_end_of_a_link_is_not_a_break() -> None:
    assert not issubclass(errors.LinkClosed, errors.LinkLost)
    assert issubclass(errors.LinkClosed, errors.LinkEnded)
    assert issubclass(errors.LinkLost, errors.LinkEnded)
    assert errors.LinkClosed(code="bye").code == "bye"


def test_a_refusal_names_its_code_and_when_to_come_back() -> None:
    error = errors.ServerRefused("room_full", retry_after=2.5)
    assert (error.code, error.retry_after) == ("room_full", 2.5)
    assert "room full" in str(error)
