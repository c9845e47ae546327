"""Rules for each text for people."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

__all__ = ["broken_rules"]

ROOT = Path(__file__).resolve().parents[3]

WORDS = 5
"""From so many words on, a text that begins with a capital is a sentence and not a label."""

END = re.compile(r"[.?:…)\]}]$|\.\.\.$|[-\w]+-[-\w]+$")

OPENING = re.compile(r"^(Who|What|Whoever|Whatever|Whichever)\b(?!.*\?$)")

BANNED = {
    r"\bis none\b": "say what is missing",
    r"\bnone of them\b": "name them",
    r"\banew\b": "again",
    r"\bgoes? again\b": "is sent again",
    r"\bfound out\b": "learned",
    r"\bby and by\b": "later",
    r"\bfor a blink\b": "briefly",
    r"\bmeddled\b": "tampered with",
    r"\bshall\b": "must",
    r"\bwhoever\b": "the person who",
    r"\bwhatever\b": "anything that",
    r"\bmakes? (no|little) sense\b": "say what is wrong",
    r"\bgave us up\b": "ended the connection",
    r"\bgone\b(?=\.)": "say what happened",
    r"\ball the same\b": "still",
    r"\bplease\b": "leave it out",
    r"\boops\b": "leave it out",
    r"\bsimply\b": "leave it out",
    r"\bdoes as well\b": "works, too",
    r"\bcannot be\.": "say what is wrong",
    r"!$": "no exclamation mark",
}
"""By pattern: what to write in its place."""

INTERNAL = re.compile(
    r"\b(SDP|SCTP|DTLS|DCEP|PAKE|CPace|TSN|INIT|HMAC|HKDF|AEAD|asyncio|aiohttp|aioice"
    r"|generation|nonce|manifest|credit|payload|callback|coroutine|None|null|undefined)\b"
    r"|\ba=[a-z]"
)
"""Names that only programmers know."""


def broken_rules(texts: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a line for each text that breaks a rule.

    Args:
        texts: By file, as `collect` returns them without those that are no texts.
    """
    return [*_single(texts), *_several(texts)]


def _single(texts: Mapping[str, Iterable[str]]) -> Iterator[str]:
    for name, those in texts.items():
        for text in those:
            for problem in _problems(text):
                yield f"{name}: {text!r}: {problem}"


def _problems(text: str) -> Iterator[str]:
    words = text.split()
    is_sentence = len(words) >= WORDS and text[:1].isupper() and text not in HEADINGS
    if is_sentence and not END.search(text):
        yield "a sentence ends with a full stop, a question mark or a colon"
    if text[:1].islower() and text not in CONTINUED and re.search(r"[^.]\.$", text):
        yield "a phrase that others continue has no full stop, or it begins with a capital letter"
    if OPENING.search(text):
        yield "begin with the subject"
    for pattern, better in BANNED.items():
        if re.search(pattern, text, re.IGNORECASE):
            yield f"{pattern!r}: {better}"
    outside = re.sub(r"\{[^{}]*\}", "", text)
    if found := INTERNAL.search(outside):
        yield f"{found[0]!r} is an internal name"
    for word in re.findall(r"\w+", outside):
        if word in _classes():
            yield f"{word!r} is the name of a class"


def _several(texts: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Texts that differ in nothing but little words, and so say one thing in two ways."""
    alike: dict[tuple[str, ...], dict[tuple[str, ...], str]] = defaultdict(dict)
    for those in texts.values():
        for text in those:
            if len(text.split()) >= WORDS:
                alike[_essence(text)].setdefault(_words(text), text)
    for several in alike.values():
        if len(several) > 1 and not ALIKE.issuperset(several.values()):
            yield f"one thing in several wordings: {sorted(several.values())}"


LITTLE = re.compile(
    r"an?|the|its?|is|are|was|were|ha[sd]|have|been?|th(is|at|ese|ose)|to|of|for|in|on|at|and|or|so"
    r"|now|already|any|more|others?"
)


def _words(text: str) -> tuple[str, ...]:
    """The words of a text, without placeholders and punctuation."""
    return tuple(re.findall(r"[a-z0-9]+", re.sub(r"\{[^{}]*\}", " ", text.lower())))


def _essence(text: str) -> tuple[str, ...]:
    """The words that carry the meaning, in any order."""
    return tuple(sorted(word for word in _words(text) if not LITTLE.fullmatch(word)))


@cache
def _classes() -> frozenset[str]:
    """Names of classes with several humps, which no person has heard of."""
    found = set()
    for folder in ("peer", "signaling"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and re.search(r"[a-z][A-Z]", node.name):
                    found.add(node.name)
    return frozenset(found)


HEADINGS = frozenset(
    {
        # Headings, labels and announcements of the page
        "Drop files or folders anywhere on this page",
        "Give this code to the other person",
        "QR code of the link",
        "Send files and chat, straight from one device to another",
        "The browser did not allow copying",
        "The other side sees you as",
        "Through a relay, still end-to-end encrypted",
        "Type the code you were given",
        "Waiting for the other side",
        "You are connected already: disconnect before you use another code",
        # Lines of help, and two that go on in the next line
        "Browsers on other machines open the page over HTTPS only: set --tls-cert,",
        "Listen on this address or name only.  [default: every address of this machine]",
        "Hand out the STUN and TURN servers listed here.  [default: Peerline's stun-config.yaml]",
        (
            "A server on somebody’s own device has made its certificate itself, so the browser "
            "will warn"
        ),
        # Names that a protocol prescribes
        "Peerline on this local network",
        "Request Header Fields Too Large",
    }
)
"""Texts that begin with a capital letter, and end without a stop."""

CONTINUED = frozenset(
    {
        # Texts that a name precedes
        "left.",
        "wants to send you {incoming}.",
        # The second of two lines
        "once: choose “Advanced”, then continue.",
        "or put a proxy with a certificate in front of this server.",
    }
)
"""Texts that begin with a small letter because something stands before them."""

ALIKE = frozenset(
    {
        # A question about a choice of words, and one about a single word
        "; did you mean this?",
        '{hint}; did you mean "{meant}"?',
        # The server's word for it, and the page's sentence
        "Somebody else has already used this code.",
        "somebody else has used this code",
    }
)
"""Texts that are alike on purpose."""
