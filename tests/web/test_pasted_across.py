"""Pasted text means the same to the page and to Python, which find each server that it names.

The environment variable ``PEERLINE_FUZZ=1000000`` makes it a long run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

from peer.errors import CodeError
from peer.security.codes import Code
from peer.security.pasted import server_of
from tests.support.browsers.node import node_command

TEXTS = int(os.environ.get("PEERLINE_FUZZ", "1500"))
CHECK = Path(__file__).with_name("pasted_check.js")
SEED = 7

QUOTES = ("", "'", '"', "`", "<", "(", "\u201c", "\u2018")
BLANKS = (" ", "  ", "\t", "\n", "\r\n", " \\\n  ", " `\r\n ", " ^\n")
PROMPTS = ("", "$ ", "# ", "anna@host:~/peerline$ ", "C:\\> ", "sudo ", "(.venv) % ", "\u276f ")
HOSTS = (
    *("other.test", "OTHER.test:8443", "10.0.0.9", "10.0.0.9:8080", "[fe80::9]", "[::1]:80"),
    *(
        "localhost",
        "localhost:1",
        "b\u00fccher.test",
        "\uff4f\uff54her.test",
        "xn--a.test",
        "ocean:8080",
    ),
)
SCHEMES = (
    "https://",
    "HTTP://",
    "wss://",
    "Ws://",
    "ftp://",
    "\uff48ttps\uff1a//",
    "https:/",
    "//",
    "a+b://",
)
PATHS = ("", "/", "/p/", "/v1/ws", "/?x=1", "/p/index.html", "/%7e/")
NUMBERS = ("7", "07", "987654321", "\u0667", "\uff17", "0", "7.5", "")
WORDS = (
    "guitar",
    "Ocean",
    "OCEAN",
    "gu\u00adit\u200bar",
    "ocea",
    "\u017fand",
    "\u0130ce",
    "zodiac",
    "\u0131",
)
NOISE = (
    *(
        "please",
        "Code:",
        "open",
        "i.e.",
        "and/or",
        "&&",
        ";",
        "|",
        "--yes",
        "--",
        "-o",
        "--name",
        "=",
        "#",
    ),
    *(
        "%23",
        "%2D",
        "%zz",
        "\u2014",
        "\U0001f600",
        "\ud800",
        "\u2028",
        "\x0b",
        "\x85",
        "\u00a0",
        ",",
        ".",
    ),
    *("peerline", "receive", "send", "peer.cli", "PEERLINE", "--server", "PEERLINE_SERVER="),
)


def a_code(rng: random.Random) -> str:
    dash = rng.choice(("-", "-", " ", "+", "\u2011", "\u2013", "%20", "_"))
    words = rng.choices(WORDS, k=rng.choice((1, 2, 2, 2, 3, 9)))
    return dash.join((rng.choice(NUMBERS), *words))


def a_server(rng: random.Random) -> str:
    scheme = rng.choice((*SCHEMES, "", ""))
    return f"{scheme}{rng.choice(HOSTS)}{rng.choice(PATHS)}"


def quoted(rng: random.Random, text: str) -> str:
    mark = rng.choice(QUOTES)
    return f"{mark}{text}{ {'<': '>', '(': ')'}.get(mark, mark) }"


def a_text(rng: random.Random) -> tuple[str, bool]:
    """A text, and whether a person would find a server in it."""
    code, server = "7-guitar-ocean", a_server(rng)
    if rng.random() < 0.3:
        code = a_code(rng)
    gap = rng.choice(BLANKS)
    program = rng.choice(("peerline", "./peerline", "PEERLINE.exe", "python -m peer.cli"))
    command = f"{rng.choice(PROMPTS)}{program} {rng.choice(('receive', 'Receive', 'chat', ''))}"
    option = f"--server{rng.choice((' ', '='))}{quoted(rng, server)}"
    match rng.randrange(7):
        case 0:
            text, named = f"{command}{gap}{quoted(rng, code)}", False
        case 1:
            text, named = f"{command}{gap}{quoted(rng, code)}{gap}{option}", True
        case 2:
            text, named = f"{command}{gap}{option}{gap}{code}", True
        case 3:
            text, named = quoted(rng, f"{server}#{code}"), "/" in server or "." in server
        case 4:
            text, named = f"{command} {quoted(rng, f'{server}#{code}')}", "/" in server
        case 5:
            text = f"export PEERLINE_SERVER={quoted(rng, server)}{gap}{command} {code}"
            named = True
        case _:
            parts = [code, server, *rng.choices(NOISE, k=rng.randrange(6))]
            rng.shuffle(parts)
            text, named = gap.join(parts), "://" in server
    if rng.random() < 0.2:
        at = rng.randrange(len(text) + 1)
        text, named = text[:at] + rng.choice(NOISE) + text[at:], False
    return text, named


def read(text: str) -> list[str | None]:
    try:
        code = str(Code.parse(text))
    except CodeError as error:
        code = str(error)
    return [code, server_of(text)]


def test_both_read_every_text_alike_and_overlook_no_server() -> None:
    rng = random.Random(SEED)
    for start in range(0, TEXTS, 10_000):
        made = [a_text(rng) for _ in range(min(10_000, TEXTS - start))]
        texts = [text for text, _ in made]
        done = subprocess.run(
            [*node_command(), str(CHECK)],
            input=json.dumps(texts),
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
        for (text, named), page in zip(made, json.loads(done.stdout), strict=True):
            here = read(text)
            assert page == here, ascii(text)
            code, server = here
            tried = server is None and code is not None and code[0].isdecimal()
            assert not (named and tried), ascii(text)
