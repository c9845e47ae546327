"""The config file: what it may say, and how every mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from peer.cli.exit_status import UsageProblem
from peer.cli.settings import ENVIRONMENT, config_path, load


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_missing_file_is_an_empty_one(tmp_path: Path) -> None:
    assert load(tmp_path / "config.toml") == {}


def test_missing_file_that_was_named_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no config file"):
        load(tmp_path / "config.toml", required=True)


def test_key_reaches_every_command_that_knows_it(tmp_path: Path) -> None:
    found = load(write(tmp_path, 'server = "https://example.org"\nwords = 3\n'))
    assert found["send"] == {"server": "https://example.org", "words": 3}
    assert found["chat"] == {"server": "https://example.org", "words": 3}
    assert found["receive"] == {"server": "https://example.org"}


def test_table_of_a_command_wins_over_the_top(tmp_path: Path) -> None:
    found = load(write(tmp_path, 'name = "a"\n[chat]\nname = "b"\n'))
    assert found["chat"]["name"] == "b"
    assert found["send"]["name"] == "a"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    found = load(write(tmp_path, 'out = "in"\nice-config = "/etc/ice.yaml"\n'))
    assert found["receive"]["out"] == str(tmp_path / "in")
    assert found["send"]["ice_config"] == "/etc/ice.yaml"


def test_home_is_expanded_in_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    found = load(write(tmp_path, 'out = "~/Downloads"\n'))
    assert found["receive"]["out"] == "/home/somebody/Downloads"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('sever = "x"', r"sever: unknown setting. Did you mean `server`\?"),
        ("words = true", "words: this must be a whole number"),
        ('words = "3"', "words: this must be a whole number"),
        ("yes = 1", "yes: this must be true or false"),
        ("server = 3", "server: this must be a string"),
        ("[serve]\nport = 1", r"no command for the table \[serve\]"),
        ("[send]\nout = 'x'", "send.out: `peerline send` has no --out"),
        ("[send]\nnonsense = 1", "send.nonsense: unknown setting"),
        ("server = ", "not valid TOML"),
    ],
)
def test_every_mistake_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        load(write(tmp_path, text))


def test_file_that_is_not_text_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageProblem, match="cannot be read"):
        load(path)


def test_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config_path({"PEERLINE_CONFIG": "/x/y.toml"}) == Path("/x/y.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_path({}) == tmp_path / "peerline" / "config.toml"


def test_each_setting_has_its_variable() -> None:
    assert ENVIRONMENT["server"] == "PEERLINE_SERVER"
    assert ENVIRONMENT["ice-config"] == "PEERLINE_ICE_CONFIG"
