"""The RPC example, as a user sees it."""

from __future__ import annotations

from tests.examples.conftest import StartExample


def test_calls_run_at_once_and_tell_results_errors_and_timeouts(start: StartExample) -> None:
    server = start("rpc")
    code = server.out.expect(r"^Code: (\S+)$")[1]
    calls = (
        '["wait", 60]',
        '["divide", 1, 4]',
        '["divide", 1, 0]',
        '["divide", 1]',
        '["format_disk"]',
        '["wait", 0, "\\u0000 and ünicode"]',
    )
    client = start("rpc", "--code", code, *calls)
    assert client.wait() == 0
    results = client.out.text.splitlines()[1:]
    assert results[:3] == [
        "TimeoutError()",
        "0.25",
        """RuntimeError("ZeroDivisionError('division by zero')")""",
    ]
    assert "TypeError" in results[3]
    assert results[4:] == [
        """RuntimeError("KeyError('format_disk')")""",
        "'\\x00 and ünicode'",
    ]
    assert server.wait() == 0
    assert client.err.text == server.err.text == ""


def test_hundred_calls_at_once_each_get_their_own_result(start: StartExample) -> None:
    server = start("rpc")
    code = server.out.expect(r"^Code: (\S+)$")[1]
    # The later ones are answered first.
    calls = [f'["wait", {(100 - number) / 1000}, {number}]' for number in range(100)]
    client = start("rpc", "--code", code, *calls)
    assert client.wait() == 0
    assert client.out.text.splitlines()[1:] == [str(number) for number in range(100)]
    assert server.wait() == 0
    assert client.err.text == server.err.text == ""
