"""Walks the sources and writes `tests/messages.txt`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .javascript_source import html_messages, javascript_messages
from .python_source import python_messages

__all__ = ["FILE", "HOW", "collect", "written"]

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "tests" / "messages.txt"
HOW = "python -m tests.support.messages"

NOT_SHOWN = (
    "peer/sctp/",  # diagnostics of the protocol; what a person reads is in peer/rtc
    "peer/udp/",
    "signaling/page.py",  # headers of HTTP
    "web/client/rtc/description.js",  # lines of SDP, and why one is refused: always `protocol`
    "peer/security/words.py",  # the word list
    "web/client/security/words.js",
)
"""Modules and packages that have no texts for people."""

NOT_TEXTS = frozenset(
    {
        # Names of styles, headings of CSS and icons
        *("bold cyan", "bold ansicyan", "noreverse ansibrightblack"),
        *("card item", "button quiet square", "button small", "details below", "notice below"),
        *("icon {name}", "icon {icon}", "line mine", "name {className}"),
        "noopener noreferrer",
        # Sent to machines, or compared
        "GET /healthz HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nConnection: close",
        "HTTP/1.1 {status} {REFUSALS}\\r\\nContent-Length: 0\\r\\nConnection: close",
        *("o=- 1 1 IN IP4 0.0.0.0", "a=group:BUNDLE {mid}", "c=IN IP4 0.0.0.0"),
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "a=fingerprint:sha-256 {fingerprint}",
        "candidate:{foundation} {COMPONENT} udp {priority} {address} {port} typ {type}{related}",
        "raddr {} rport {}",
        *("http:", "https:", "wss:"),
        *("seal offerer", "seal answerer"),
        "--name --ice-config --engine --words --port --out -o --code-fd",
        (
            "app bat cmd com command cpl desktop exe hta jar js jse lnk msi pif ps1 reg scr sh vbe "
            "vbs wsf"
        ),
        *(
            "matching regex",
            "Characters that are not allowed - at `{place|$}`",
            "Error",
            "Enter",
            "Problem",
        ),
        # Annotations, names of tasks and services, formats of logs
        'Literal["host", "srflx", "prflx", "relay"]',
        *("link to {id}", "close link", "signaling."),
        *("peerline/{VERSION} python", "ignoring our own id"),
        "ignoring another peer in a room for two",
        "ignoring a peer: too many links are being set up",
        *("_peerline._tcp.local.", "peerline-{secrets}.local."),
        "%(asctime)s %(levelname)s %(name)s: %(message)s",
        # States and steps, as their enumerations spell them
        *("back off", "at once"),
        # Texts of the operating system, made for its own exceptions
        *("File exists", "Permission denied"),
    }
)
"""Strings that look like texts and are not; each must occur."""


def collect() -> dict[str, list[str]]:
    """Return the texts of each file, in the order of the source, each once."""
    found: dict[str, list[str]] = {}
    for path in _files():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(NOT_SHOWN):
            continue
        texts = {_one_line(text): None for text in _texts(path, name)}
        if texts:
            found[name] = list(texts)
    return found


def written() -> str:
    """Return what `tests/messages.txt` should be."""
    parts = [
        "Every text that a person can read, by the file it is in. Review what changes here.",
        f"Written by `{HOW}`.",
    ]
    for name, texts in collect().items():
        shown = [text for text in texts if text not in NOT_TEXTS]
        if shown:
            parts += ["", f"# {name}", *shown]
    return "\n".join(parts) + "\n"


def _files() -> Iterator[Path]:
    for folder, suffix in (("peer", "py"), ("signaling", "py"), ("web", "js"), ("web", "html")):
        yield from sorted((ROOT / folder).rglob(f"*.{suffix}"))


def _texts(path: Path, name: str) -> Iterator[str]:
    match path.suffix:
        case ".py":
            yield from python_messages(path, name)
        case ".js":
            yield from javascript_messages(path)
        case _:
            yield from html_messages(path)


def _one_line(text: str) -> str:
    r"""Return a text without the line ends of its source; those that are meant stay, as `\n`."""
    if "\n" in text and "  " not in text:
        text = re.sub(r"(?<=\S)\n(?=\S)", " ", text)
    return text.strip().replace("\r", "\\r").replace("\n", "\\n").replace("\x08", "")
