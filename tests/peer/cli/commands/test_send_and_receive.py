"""Files from one process to another, as two people would do it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes.terminal import Piped, Terminal
from tests.support.servers.coturn import running_coturn

Environment = dict[str, str]


def code_of(process: Piped | Terminal) -> str:
    transcript = process.err if isinstance(process, Piped) else process
    return transcript.expect(r"^Code: (\S+)\s*$")[1]


def make_files(folder: Path) -> dict[str, bytes]:
    """A folder with files of several sizes, one of them empty, and an empty folder."""
    files = {
        "film.mkv": os.urandom(3_000_000),
        "photos/beach 1.jpg": os.urandom(70_000),
        "photos/ночь.jpg": b"night",
        "empty": b"",
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "nothing in here").mkdir()
    return files


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def registered(env: Environment) -> list[Path]:
    return list((Path(env["XDG_RUNTIME_DIR"]) / "peerline").glob("*"))


def partial_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".") and path.is_file()]


@pytest.mark.terminal
def test_folder_and_file_go_from_terminal_to_terminal_without_any_server(
    env: Environment, tmp_path: Path
) -> None:
    files = make_files(tmp_path / "holiday")
    (tmp_path / "notes.txt").write_bytes(b"remember the milk")
    there = tmp_path / "there"
    there.mkdir()
    sending = ("send", "holiday", "notes.txt", "--name", "alice")
    with Terminal(*sending, env=env, cwd=tmp_path) as alice:
        alice.expect(r"Sending 5 files, 3 folders, 3\.1 MB:")
        alice.expect(r"    holiday/  3\.1 MB, 4 files")
        alice.expect(r"    notes\.txt  17 B")
        alice.expect("▀")  # the link as a QR code
        link = alice.expect(r"    (http://localhost:\d+/#\S+)\s")[1]
        alice.expect(r"    peerline receive\s")
        code = code_of(alice)
        assert link.endswith(f"/#{code}")
        alice.expect("Waiting for the other side")
        receiving = ("receive", code.replace("-", " ").upper(), "--out", "got", "--name", "bob")
        with Terminal(*receiving, env=env, cwd=there) as bob:
            words = alice.expect(r"Words: (\w+ \w+ \w+ \w+)  ")[1]
            assert bob.expect(r"Words: (\w+ \w+ \w+ \w+)  ")[1] == words
            bob.expect(r"alice wants to send you 5 files, 3 folders, 3\.1 MB:")
            bob.expect(r"    notes\.txt  17 B")
            bob.expect(r"Accept\? \[Y/n\] ")
            alice.expect("Waiting for bob to accept")
            bob.enter()
            assert bob.wait() == 0
            assert alice.wait() == 0
    assert contents(there / "got" / "holiday") == files
    assert (there / "got" / "holiday" / "nothing in here").is_dir()
    assert (there / "got" / "notes.txt").read_bytes() == b"remember the milk"
    assert bob.lines()[-2:] == [
        f"    {there / 'got' / 'holiday'}",
        f"    {there / 'got' / 'notes.txt'}",
    ]
    assert "Confirmed by bob" in alice.lines()[-1]
    assert registered(env) == []
    assert partial_files(there) == []


def test_server_and_pipes_leave_stdout_empty(env: Environment, server: str, tmp_path: Path) -> None:
    files = make_files(tmp_path / "holiday")
    with Piped("send", "holiday", "--server", server, env=env, cwd=tmp_path) as alice:
        link = alice.err.expect(rf"    {server}/#(\S+)$")[1]
        alice.err.expect(rf"    peerline receive --server {server}$")
        code = code_of(alice)
        assert link == code
        receiving = ("receive", code, "--server", server, "--yes", "--out", "got")
        with Piped(*receiving, env=env, cwd=tmp_path) as bob:
            assert bob.wait() == 0
            assert alice.wait() == 0
    assert contents(tmp_path / "got" / "holiday") == files
    assert alice.out.text == bob.out.text == ""
    assert "\x1b" not in alice.err.text + bob.err.text
    assert "█" not in alice.err.text


def test_link_carries_the_server_with_it(env: Environment, server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with Piped("send", "file", "--server", server, env=env, cwd=tmp_path) as alice:
        link = alice.err.expect(r"    (http://\S+#\S+)$")[1]
        with Piped("receive", link, "--yes", "--out", "got", env=env, cwd=tmp_path) as bob:
            assert bob.wait() == 0
            assert alice.wait() == 0
    assert (tmp_path / "got" / "file").read_bytes() == b"content"


def test_existing_file_is_kept_unless_it_may_be_replaced(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file.txt").write_bytes(b"new")
    out = tmp_path / "got"
    out.mkdir()
    (out / "file.txt").write_bytes(b"old")
    for flags, expected in (
        ((), {"file.txt": b"old", "file (1).txt": b"new"}),
        (("--overwrite",), {"file.txt": b"new", "file (1).txt": b"new"}),
    ):
        with Piped("send", "file.txt", "--server", server, env=env, cwd=tmp_path) as alice:
            code = code_of(alice)
            receiving = ("receive", code, "--server", server, "--yes", "--out", "got", *flags)
            with Piped(*receiving, env=env, cwd=tmp_path) as bob:
                assert bob.wait() == 0
                assert alice.wait() == 0
        assert contents(out) == expected


@pytest.mark.terminal
def test_refusal_is_status_five_on_both_sides_and_writes_nothing(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with Terminal("send", "file", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        receiving = ("receive", code, "--server", server, "--out", "got")
        with Terminal(*receiving, env=env, cwd=tmp_path) as bob:
            bob.expect(r"Accept\? \[Y/n\] ")
            bob.enter("perhaps")
            bob.expect("Answer y or n")
            bob.expect(r"Accept\? \[Y/n\] ")
            bob.enter("n")
            assert bob.wait() == 5
            assert alice.wait() == 5
    assert alice.lines()[-1] == "peerline: The other side refused the files."
    assert bob.lines()[-1] == "peerline: You declined the files."
    assert not (tmp_path / "got").exists()


def test_nobody_to_ask_is_usage_and_leaves_the_code_alone(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with Piped("send", "file", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        for said in ("", "y\n"):  # input before the question is not an answer
            with Piped("receive", code, "--server", server, env=env, cwd=tmp_path) as bob:
                bob.write(said)
                bob.close_input()
                assert bob.wait() == 2
                assert "--yes" in bob.err.text
        receiving = ("receive", code, "--server", server, "--yes", "--out", "got")
        with Piped(*receiving, env=env, cwd=tmp_path) as bob:
            assert bob.wait() == 0
            assert alice.wait() == 0


def test_code_can_come_through_a_pipe(env: Environment, server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with Piped("send", "file", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        receiving = ("receive", "--server", server, "--yes", "--out", "got")
        with Piped(*receiving, env=env, cwd=tmp_path) as bob:
            bob.write(f"{code}\n")
            assert bob.wait() == 0
            assert alice.wait() == 0
    assert (tmp_path / "got" / "file").read_bytes() == b"content"


def test_wrong_word_is_status_four_on_both_sides_and_spends_the_code(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with Piped("send", "file", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        number = code.split("-")[0]
        with Piped(
            *("receive", f"{number}-acid-thorn", "--server", server, "--yes"),
            env=env,
            cwd=tmp_path,
        ) as eve:
            assert eve.wait() == 4
            assert alice.wait() == 4
        # The code is spent: who knows it now comes too late.
        with Piped("receive", code, "--server", server, "--yes", env=env, cwd=tmp_path) as bob:
            assert bob.wait() == 3
    for side in (alice, eve, bob):
        last = side.err.text.splitlines()[-1]
        assert last.startswith("peerline: ")
        assert "Traceback" not in side.err.text


@pytest.mark.terminal
def test_code_is_asked_for_and_tab_completes_its_words(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with Piped("send", "file", "--server", server, env=env, cwd=tmp_path) as alice:
        number, first, second = code_of(alice).split("-")
        receiving = ("receive", "--server", server, "--yes", "--out", "got")
        with Terminal(*receiving, env=env, cwd=tmp_path) as bob:
            bob.expect_display(r"Code \(Tab completes words\):")
            bob.enter(f"{number}-{first}-notaword")
            bob.expect("is not a word of any code")
            bob.expect_display(r"Code \(Tab completes words\):")
            bob.type_in(f"{number}-{first[:3]}\t")
            bob.expect_display(rf".*: {number}-{first}")
            bob.type_in(f"-{second[:3]}\t")
            bob.expect_display(rf".*: {number}-{first}-{second}")
            bob.enter()
            assert bob.wait() == 0
            assert alice.wait() == 0
    assert (tmp_path / "got" / "file").read_bytes() == b"content"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_while_waiting_leaves_nothing_behind(
    env: Environment, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with Piped("send", "file", env=env, cwd=tmp_path) as alice:
        code_of(alice)
        alice.err.expect("Waiting for the other side")
        assert len(registered(env)) == 1
        alice.kill(number)
        assert alice.wait() == 128 + number
    assert "Traceback" not in alice.err.text
    assert registered(env) == []


@pytest.mark.terminal
def test_mere_enter_declines_what_could_take_effect_in_a_home(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / ".profile").write_bytes(b"content")
    with Piped("send", ".profile", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        home = Path(env["HOME"])
        with Terminal("receive", code, "--server", server, env=env, cwd=home) as bob:
            bob.expect(r"    \.profile  7 B, takes effect by itself, hidden")
            bob.expect("Careful: this is your home folder")
            bob.expect(r"Accept\? \[y/N\] ")
            bob.enter()
            assert bob.wait() == 5
            assert alice.wait() == 5
    assert not (home / ".profile").exists()


@pytest.mark.terminal
def test_enter_that_was_pressed_before_the_question_does_not_answer_it(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with Piped("send", "file", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        with Terminal("receive", code, "--server", server, env=env, cwd=tmp_path) as bob:
            bob.enter("y")
            bob.enter("y")
            bob.expect(r"Accept\? \[Y/n\] ")
            bob.enter("n")
            assert bob.wait() == 5
            assert alice.wait() == 5


@pytest.mark.terminal
def test_interrupt_of_the_question_ends_both_sides(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with Piped("send", "file", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        with Terminal("receive", code, "--server", server, env=env, cwd=tmp_path) as bob:
            bob.expect(r"Accept\? \[Y/n\] ")
            bob.interrupt()
            assert bob.wait() == 130
            assert alice.wait() in (5, 7)
    assert "Traceback" not in alice.err.text + bob.text


@pytest.mark.terminal
def test_sender_that_leaves_ends_the_question(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with Piped("send", "file", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        with Terminal("receive", code, "--server", server, env=env, cwd=tmp_path) as bob:
            bob.expect(r"Accept\? \[Y/n\] ")
            alice.kill(signal.SIGINT)
            assert alice.wait() == 130
            assert bob.wait() == 7
    assert bob.lines()[-1].startswith("peerline: The other side left")


def test_sudden_death_in_the_middle_is_status_seven_and_keeps_what_arrived(
    env: Environment, server: str, tmp_path: Path
) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(2_000_000_000)
    with ExitStack() as stack:

        def start(*arguments: str) -> Piped:
            command = Piped(*arguments, "--server", server, env=env, cwd=tmp_path)
            return stack.enter_context(command)

        # The survivors all wait out the same silence, together: it takes a quarter of a minute.
        survivors = {}
        for victim in ("sender", "receiver"):
            alice = start("send", "big")
            bob = start("receive", code_of(alice), "--yes", "--out", f"from dead {victim}")
            alice.err.expect(r" \d+%  ")
            dead, survivor = (alice, bob) if victim == "sender" else (bob, alice)
            dead.kill(signal.SIGKILL)
            survivors[victim] = survivor
        alice = start("chat")
        bob = start("chat", code_of(alice))
        for side in (alice, bob):
            side.err.expect("Connected to")
        bob.kill(signal.SIGKILL)
        for victim, survivor in survivors.items():
            assert survivor.wait(20) == 7, victim
            last = survivor.err.text.splitlines()[-1]
            assert last.startswith("peerline: The link"), victim
            assert not (tmp_path / f"from dead {victim}" / "big").exists()
        assert alice.wait(20) == 7
    assert "Traceback" not in alice.err.text


@pytest.mark.terminal
def test_progress_shows_rate_time_left_and_path(
    env: Environment, server: str, tmp_path: Path
) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(2_000_000_000)
    with Terminal("send", "big", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        receiving = ("receive", code, "--server", server, "--yes", "--out", "got")
        with Terminal(*receiving, env=env, cwd=tmp_path) as bob:
            line = r"[━┄]{24} +\d+%  \S+ MB of 2 GB  \S+ MB/s  \S+( s)? left  direct  big"
            for side in (alice, bob):
                side.expect_display(line)
                # One line in place: the one before it is still what was said before.
                assert not any("%" in each for each in side.lines()[:-1])
            bob.interrupt()
            assert bob.wait() == 130
            assert alice.wait() in (5, 7)
    assert "Traceback" not in alice.text + bob.text


def test_unreachable_server_is_status_three(env: Environment, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    for arguments in (
        ("send", "file", "--server", "http://127.0.0.1:1"),
        ("receive", "7-acid-thorn", "--yes", "--server", "http://127.0.0.1:1"),
        ("receive", "7", "acid", "thorn", "--yes"),
    ):
        with Piped(*arguments, env=env, cwd=tmp_path) as command:
            assert command.wait() == 3
        last = command.err.text.splitlines()[-1]
        assert last.startswith("peerline: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("send",), "Missing argument"),
        (("send", "missing.txt"), 'There is no file or folder called "missing.txt".'),
        (
            ("send", "a", ".", "b\x1b[2J"),
            'called "a". There is no file or folder called "b\\x1b[2J".',
        ),
        (("send", ".", "--words", "1"), "is not in the range"),
        (("receive", "7-nonsens-words"), "not a word of any code"),
        (("receive", "https://example.org/"), "has no code in it"),
        (("receive", "7-acid-thorn"), "There is no terminal on which to ask"),
        (("receive", "7-acid-thorn", "--yes", "--code-fd", "0"), "not both"),
        (("receive", "--yes", "--code-fd", "99"), "--code-fd 99"),
        (("chat", "lobby", "--password", "-", "--server", "x"), "no terminal on which to ask"),
        (("receive", "7-acid-thorn", "--server", "ftp://x"), "starts with https://"),
        (("send", ".", "--ice-config", "ice.yaml"), "ice.yaml"),
    ],
)
def test_misuse_is_status_two(
    env: Environment, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "ice.yaml").write_text("ice_servers: [{urls: 'http://x'}]")
    with Piped(*arguments, env=env, cwd=tmp_path) as command:
        assert command.wait() == 2
    assert said in command.err.text


def test_folder_that_cannot_be_written_is_status_nine(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "got").write_bytes(b"a file is in the way")
    with Piped("send", "file", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        receiving = ("receive", code, "--server", server, "--yes", "--out", "got/here")
        with Piped(*receiving, env=env, cwd=tmp_path) as bob:
            assert bob.wait() == 9
            assert alice.wait() == 5


def test_settings_come_from_flags_then_environment_then_file(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    config = Path(env["XDG_CONFIG_HOME"]) / "peerline" / "config.toml"
    config.parent.mkdir()
    config.write_text(f'server = "{server}"\nname = "file"\nwords = 4\n[receive]\nyes = true\n')
    with Piped(
        *("send", "file", "--words", "3"), env={**env, "PEERLINE_NAME": "environment"}, cwd=tmp_path
    ) as alice:
        code = code_of(alice)
        assert len(code.split("-")) == 4
        with Piped("receive", code, "--out", "got", env=env, cwd=tmp_path) as bob:
            bob.err.expect("Connected to environment")
            alice.err.expect("Connected to file")
            assert bob.wait() == 0
            assert alice.wait() == 0


@pytest.mark.parametrize(
    ("flags", "environment", "used"),
    [
        ((), "", "aiortc"),
        ((), "peerline", "peerline"),
        (("--engine", "peerline"), "aiortc", "peerline"),
    ],
    ids=["file", "environment", "flag"],
)
def test_the_engine_comes_from_the_flag_then_the_environment_then_the_file(
    env: Environment, server: str, tmp_path: Path, flags: Sequence[str], environment: str, used: str
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    config = Path(env["XDG_CONFIG_HOME"]) / "peerline" / "config.toml"
    config.parent.mkdir()
    config.write_text(f'server = "{server}"\nengine = "aiortc"\n')
    own = {**env, "PEERLINE_ENGINE": environment}
    with Piped("send", "file", "--verbose", *flags, env=own, cwd=tmp_path) as alice:
        code = code_of(alice)
        with Piped("receive", code, "--yes", "--out", "got", env=env, cwd=tmp_path) as bob:
            alice.err.expect(f"channels are carried by the engine {used}")
            assert bob.wait() == 0
            assert alice.wait() == 0


def test_digest_of_a_larger_file_survives_the_journey(
    env: Environment, server: str, tmp_path: Path
) -> None:
    content = os.urandom(20_000_003)
    (tmp_path / "large").write_bytes(content)
    with Piped("send", "large", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        receiving = ("receive", code, "--server", server, "--yes", "--out", "got")
        with Piped(*receiving, env=env, cwd=tmp_path) as bob:
            assert bob.wait() == 0
            assert alice.wait() == 0
    arrived = (tmp_path / "got" / "large").read_bytes()
    assert hashlib.sha256(arrived).digest() == hashlib.sha256(content).digest()


def test_link_for_browsers_of_the_network_works_for_the_command_too(
    env: Environment, tmp_path: Path
) -> None:
    # On a machine with a network this is https with a certificate of its own making.
    (tmp_path / "file").write_bytes(b"content")
    with Piped("send", "file", env={**env, "PEERLINE_LAN": "1"}, cwd=tmp_path) as alice:
        link = alice.err.expect(r"    (https?://\S+#\S+)$")[1]
        with Piped("receive", link, "--yes", "--out", "got", env=env, cwd=tmp_path) as bob:
            assert bob.wait() == 0
            assert alice.wait() == 0
    assert (tmp_path / "got" / "file").read_bytes() == b"content"
    assert registered(env) == []


@pytest.mark.turn
async def test_relay_only_goes_through_a_turn_server_and_says_so(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(os.urandom(300_000))
    async with running_coturn(tmp_path) as coturn:
        entry = coturn.entry()
        (tmp_path / "ice.yaml").write_text(
            f"ice_servers:\n  - urls: {entry.urls[0]}\n"
            f"    username: {entry.username}\n    credential: {entry.credential}\n"
        )
        flags = ("--server", server, "--relay-only", "--ice-config", "ice.yaml")

        def transfer() -> str:
            with Piped("send", "file", *flags, env=env, cwd=tmp_path) as alice:
                code = code_of(alice)
                receiving = ("receive", code, "--yes", "--out", "got", *flags)
                with Piped(*receiving, env=env, cwd=tmp_path) as bob:
                    assert bob.wait() == 0
                    assert alice.wait() == 0
                    return alice.err.text + bob.err.text

        said = await asyncio.to_thread(transfer)
    assert said.count("Path:  relayed by a TURN server") == 2
    assert (tmp_path / "got" / "file").read_bytes() == (tmp_path / "file").read_bytes()


def test_no_way_between_the_two_is_status_six_on_both_sides(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    # Only relays are allowed, and the server knows none.
    with Piped("send", "file", "--relay-only", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        receiving = ("receive", code, "--yes", "--server", server)
        with Piped(*receiving, env=env, cwd=tmp_path) as bob:
            assert alice.wait() == 6
            assert bob.wait() == 6


def test_what_is_left_out_is_told_at_the_end_and_has_a_status_of_its_own(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"content")
    os.mkfifo(tmp_path / "folder" / "pipe")
    with Piped("send", "folder", "--server", server, env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        receiving = ("receive", "--server", server, "--yes", "--out", "got")
        with Piped(*receiving, env={**env, "PEERLINE_CODE": code}, cwd=tmp_path) as bob:
            assert bob.wait() == 10
            assert alice.wait() == 10
    assert alice.err.text.count("Left out (1):\n    folder/pipe is a pipe\n") == 2
    assert "Left out by the other side: 1 file or folder." in bob.err.text
    assert (tmp_path / "got" / "folder" / "file").read_bytes() == b"content"


def test_strict_sends_everything_or_nothing(env: Environment, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"content")
    os.mkfifo(tmp_path / "folder" / "pipe")
    with Piped("send", "folder", "--strict", env=env, cwd=tmp_path) as alice:
        assert alice.wait() == 9
    assert alice.err.text.splitlines()[-1] == 'peerline: "folder/pipe" is a pipe.'
    assert "Code:" not in alice.err.text
