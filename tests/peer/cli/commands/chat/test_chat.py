"""Two people chatting: real processes, in terminals and through pipes."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes.terminal import Piped, Terminal

Environment = dict[str, str]


def code_of(process: Piped | Terminal) -> str:
    transcript = process.err if isinstance(process, Piped) else process
    return transcript.expect(r"^Code: (\S+)\s*$")[1]


def registered(env: Environment) -> list[Path]:
    return list((Path(env["XDG_RUNTIME_DIR"]) / "peerline").glob("*"))


@pytest.mark.terminal
def test_two_terminals_talk_without_any_server(env: Environment, tmp_path: Path) -> None:
    with Terminal("chat", "--name", "alice", "--no-qr", env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        alice.expect_display("> ?", "Nobody is here yet  /help")
        with Terminal("chat", code, "--name", "bob", env=env, cwd=tmp_path) as bob:
            words = alice.expect(r"Words: (\w+ \w+ \w+ \w+)  ")[1]
            assert bob.expect(r"Words: (\w+ \w+ \w+ \w+)  ")[1] == words
            alice.expect_display("> ?", r"bob \(direct\)  /help")
            bob.expect_display("> ?", r"alice \(direct\)  /help")
            alice.type_in("Hello B")
            bob.enter("Are you there?")
            # An incoming message does not tear the line that is being typed.
            alice.expect_display("bob: Are you there\\?", "> Hello B", r"bob \(direct\)  /help")
            alice.enter("ob")
            alice.expect_display("bob: Are you there\\?", "alice: Hello Bob ✓", "> ?", ".*/help")
            bob.expect_display("bob: Are you there\\? ✓", "alice: Hello Bob", "> ?", ".*/help")
            alice.enter("/sas")
            alice.expect(rf"Words: {words}  \(the same on bob's side\)")
            alice.enter("/quit")
            assert alice.wait() == 0
            bob.expect("alice left.")
            assert bob.wait() == 0
    assert registered(env) == []


@pytest.mark.terminal
def test_control_d_leaves_and_control_c_interrupts(
    env: Environment, server: str, tmp_path: Path
) -> None:
    for key, status in (("\x04", 0), ("\x03", 130)):
        with Terminal("chat", "--server", server, env=env, cwd=tmp_path) as alice:
            code = code_of(alice)
            with Terminal("chat", code, "--server", server, env=env, cwd=tmp_path) as bob:
                alice.expect("Connected to")
                bob.expect("Connected to")
                alice.expect_display("> ?", ".*/help")
                alice.type_in(key)
                assert alice.wait() == status
                assert bob.wait() == 0
            assert "Traceback" not in alice.text


def test_lines_of_a_pipe_are_messages_and_its_end_comes_after_delivery(
    env: Environment, server: str, tmp_path: Path
) -> None:
    with Piped("chat", "--name", "alice", "--server", server, env=env, cwd=tmp_path) as alice:
        alice.write("first, before anybody is there\n")
        code = code_of(alice)
        with Piped("chat", code, "--name", "bob", "--server", server, env=env, cwd=tmp_path) as bob:
            bob.out.expect("^alice: first, before anybody is there$")
            bob.write("/quit is only text here\n")
            alice.out.expect("^bob: /quit is only text here$")
            alice.write("".join(f"line {number}\n" for number in range(500)))
            alice.close_input()
            assert alice.wait() == 0
            assert bob.wait() == 0
            lines = [f"alice: line {number}" for number in range(500)]
            assert bob.out.text.splitlines()[1:] == lines
    assert alice.out.text == "bob: /quit is only text here\n"


def test_wrong_code_is_one_sentence_and_status_four_on_both_sides(
    env: Environment, server: str, tmp_path: Path
) -> None:
    with Piped("chat", "--server", server, env=env, cwd=tmp_path) as alice:
        number, first, second = code_of(alice).split("-")
        wrong = f"{number}-{second}-{first}" if first != second else f"{number}-acid-thorn"
        with Piped("chat", wrong, "--server", server, env=env, cwd=tmp_path) as bob:
            assert bob.wait() == 4
            assert alice.wait() == 4
    for side in (alice, bob):
        assert "Traceback" not in side.err.text
        assert side.err.text.splitlines()[-1].startswith("peerline: ")


def test_named_room_without_a_password_says_that_nobody_is_proven(
    env: Environment, server: str, tmp_path: Path
) -> None:
    where = ("chat", "lobby", "--server", server)
    with (
        Piped(*where, "--name", "alice", env=env, cwd=tmp_path) as alice,
        Piped(*where, "--name", "bob", env=env, cwd=tmp_path) as bob,
    ):
        for side in (alice, bob):
            side.err.expect("compare the words")
        with Piped(*where, "--name", "carol", env=env, cwd=tmp_path) as carol:
            alice.err.expect("Connected to carol")
            bob.err.expect("Connected to carol")
            carol.err.expect("Connected to")
            carol.err.expect("Connected to")
            carol.write("hello all\n")
            alice.out.expect("^carol: hello all$")
            bob.out.expect("^carol: hello all$")
            carol.close_input()
            assert carol.wait() == 0
        alice.err.expect("carol left")
        alice.close_input()
        bob.close_input()
        assert alice.wait() == 0
        assert bob.wait() == 0


def test_password_of_a_room_authenticates_and_a_wrong_one_is_refused(
    env: Environment, server: str, tmp_path: Path
) -> None:
    where = ("chat", "vault", "--server", server)
    with Piped(*where, "--password", "sesame", env=env, cwd=tmp_path) as alice:
        alice.err.expect("In the room 'vault'")
        with Piped(*where, env={**env, "PEERLINE_PASSWORD": "guess"}, cwd=tmp_path) as eve:
            assert eve.wait() == 4
        with Piped(*where, env={**env, "PEERLINE_PASSWORD": "sesame"}, cwd=tmp_path) as bob:
            bob.err.expect("Connected to")
            alice.err.expect("Connected to")
            bob.close_input()
            assert bob.wait() == 0
        alice.close_input()
        assert alice.wait() == 0
    assert "compare the words" not in alice.err.text


def test_room_without_a_server_is_usage(env: Environment, tmp_path: Path) -> None:
    with Piped("chat", "lobby", env=env, cwd=tmp_path) as command:
        assert command.wait() == 2
        assert "add --server" in command.err.text


def test_interrupt_while_waiting_leaves_nothing_behind(env: Environment, tmp_path: Path) -> None:
    with Piped("chat", env=env, cwd=tmp_path) as alice:
        code_of(alice)
        assert len(registered(env)) == 1
        alice.kill(signal.SIGINT)
        assert alice.wait() == 130
        assert alice.err.text.splitlines()[-1] == "peerline: Interrupted."
    assert registered(env) == []


@pytest.mark.terminal
def test_file_is_offered_accepted_and_confirmed_inside_a_chat(
    env: Environment, server: str, tmp_path: Path
) -> None:
    (tmp_path / "a picture.jpg").write_bytes(b"picture" * 100_000)
    with Terminal(*("chat", "--name", "alice", "--server", server), env=env, cwd=tmp_path) as alice:
        code = code_of(alice)
        with Terminal(
            *("chat", code, "--name", "bob", "--server", server, "--out", "got"),
            env=env,
            cwd=tmp_path,
        ) as bob:
            alice.expect_display("> ?", r"bob \(direct\)  /help")
            alice.enter("/send 'no such file'")
            alice.expect('There is no file or folder called "no such file"')
            alice.enter("/send 'a picture.jpg'")
            alice.expect(r"Offered a picture\.jpg \(1 file, 700 kB\) to bob")
            bob.expect(r"alice wants to send you a picture\.jpg \(1 file, 700 kB\)")
            # An Enter that was meant for a message accepts nothing.
            bob.enter("what is that?")
            bob.enter("/accept")
            alice.expect(r"Sent 1 file, 700 kB .*, confirmed by bob\.")
            bob.expect(r"Received 1 file, 700 kB")
            bob.expect(f"    {tmp_path / 'got' / 'a picture.jpg'}")
            alice.enter("/send 'a picture.jpg'")
            bob.expect("alice wants to send you")
            bob.enter("/decline")
            alice.expect("Not sent to bob: The other side refused the files")
            bob.enter("/accept")
            bob.expect("There is no offer to answer")
            bob.enter("/quit")
            assert bob.wait() == 0
            assert alice.wait() == 0
    assert (tmp_path / "got" / "a picture.jpg").read_bytes() == b"picture" * 100_000


@pytest.mark.terminal
def test_pipe_takes_files_only_with_yes(env: Environment, server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    for flags, answer in (((), "Not sent"), (("--yes", "--out", "got"), "Sent 1 file")):
        with Terminal("chat", "--server", server, env=env, cwd=tmp_path) as alice:
            code = code_of(alice)
            with Piped("chat", code, "--server", server, *flags, env=env, cwd=tmp_path) as bob:
                alice.expect_display("> ?", r".* \(direct\)  /help")
                alice.enter("/send file")
                alice.expect(answer)
                bob.close_input()
                assert bob.wait() == 0
                assert alice.wait() == 0
            assert bob.out.text == ""
    assert (tmp_path / "got" / "file").read_bytes() == b"content"


def test_line_of_a_pipe_reaches_those_who_come_while_it_is_open(
    env: Environment, server: str, tmp_path: Path
) -> None:
    where = ("chat", "board", "--server", server)
    with (
        Piped(*where, "--name", "board", env=env, cwd=tmp_path) as board,
        Piped(*where, "--name", "alice", env=env, cwd=tmp_path) as alice,
    ):
        board.write("".join(f"line {number}\n" for number in range(3)))
        alice.out.expect("^board: line 2$")
        with Piped(*where, "--name", "bob", env=env, cwd=tmp_path) as bob:
            bob.out.expect("^board: line 2$")
            board.write("one more\n")
            for person in (alice, bob):
                person.out.expect("^board: one more$")
            board.close_input()
            assert board.wait() == 0
            said = [f"board: line {number}" for number in range(3)] + ["board: one more"]
            assert bob.out.text.splitlines() == alice.out.text.splitlines() == said
            bob.close_input()
            assert bob.wait() == 0
        alice.close_input()
        assert alice.wait() == 0
    assert "Everything was delivered to alice, bob." in board.err.text


def test_line_of_a_pipe_that_ends_at_once_reaches_everybody_in_the_room(
    env: Environment, server: str, tmp_path: Path
) -> None:
    where = ("chat", "hall", "--server", server)
    names = ("alice", "bob", "carol")
    with ExitStack() as stack:
        people = []
        for name in names:
            person = stack.enter_context(Piped(*where, "--name", name, env=env, cwd=tmp_path))
            person.err.expect("In the room 'hall'")
            people.append(person)
        with Piped(*where, "--name", "herald", env=env, cwd=tmp_path) as herald:
            herald.write("hear ye\n")
            herald.close_input()
            assert herald.wait() == 0
        for person in people:
            person.out.expect("^herald: hear ye$")
            person.close_input()
            assert person.wait() == 0
    assert all(name in herald.err.text.splitlines()[-1] for name in names)


@pytest.mark.terminal
def test_of_several_offers_one_is_taken_by_its_number_or_by_a_name(
    env: Environment, server: str, tmp_path: Path
) -> None:
    for name in ("a", "b", ".bashrc"):
        (tmp_path / name).write_text(name)
    where = ("chat", "market", "--server", server)
    with (
        Terminal(*where, "--name", "me", "--out", "got", env=env, cwd=tmp_path) as me,
        Terminal(*where, "--name", "alice", env=env, cwd=tmp_path) as alice,
        Terminal(*where, "--name", "bob", env=env, cwd=tmp_path) as bob,
    ):
        for person, others in ((me, "alice|bob"), (alice, "me|bob"), (bob, "me|alice")):
            person.expect_display("> ?", rf"({others}) \(direct\)  ({others}) \(direct\)  /help")
        alice.enter("/send a")
        me.expect(r"alice wants to send you a \(1 file, 1 B\)\.")
        bob.enter("/decline")
        me.expect(r"Type /accept or /decline\.")
        bob.enter("/send .bashrc")
        me.expect(r"bob wants to send you \.bashrc")
        me.expect(r"    \.bashrc  7 B, takes effect by itself, hidden")
        me.expect(r"Type /accept 2 or /decline 2\.")
        me.enter("/accept")
        me.expect(r"There are several offers\. Type /accept and one of these, or all:")
        me.enter("/accept carol")
        me.expect("There is no offer 'carol'")
        me.enter("/decline 2")
        bob.expect("Not sent to me: The other side refused the files")
        me.enter("/accept Alice")
        alice.expect(r"Sent 1 file, 1 B .*, confirmed by me\.")
        me.expect("Received 1 file, 1 B")
    assert [path.name for path in (tmp_path / "got").iterdir()] == ["a"]
