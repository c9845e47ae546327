"""Codes: `7-guitar-ocean`, the room's number and the secret words (floor 1).

The number finds the room on the server; the words prove who is there (`peer.security.pake`) and
never reach the server. `Code.parse` takes what people really type and paste: spaces for dashes,
capital letters, `+`, dashes and invisible characters that chat programs put in, a whole link, or
the command line that the sender's screen shows. `web/client/security/codes.js` is the same in
JavaScript, sentence for sentence; `tests/vectors/codes.json` holds both to it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from peer.errors import CodeError

from .pasted import unwrap
from .words import WORDS

__all__ = [
    "DEFAULT_WORDS",
    "MAX_WORDS",
    "MIN_WORDS",
    "RANDOM_BYTES",
    "Code",
    "complete",
    "make_words",
    "suggest",
]

DEFAULT_WORDS: Final = 2
"""Two words are 20.7 bits; an attacker has one guess, and it is noticed."""
MIN_WORDS: Final = 2
MAX_WORDS: Final = 8
RANDOM_BYTES: Final = 32
"""Random bytes that `make_words` needs: so many that no word is likelier than another."""

_EXAMPLE: Final = "7-guitar-ocean"
_MAX_TEXT: Final = 2048
_SHOWN: Final = 24
"""Letters of an unknown word, and digits of a number, that an error repeats."""

_NUMBER: Final = re.compile("[1-9][0-9]{0,8}")
_WORD_SET: Final = frozenset(WORDS)
_GLUED_NUMBER: Final = re.compile("([0-9]+)([^0-9].*)")


@dataclass(frozen=True, slots=True)
class Code:
    """A code: where to meet, and the secret that both sides must know.

    Attributes:
        number: The room's number on the server, in decimal, without leading zeros.
        words: The secret words, `MIN_WORDS` to `MAX_WORDS` of them, in lower case. They do not
            show in the repr, which ends up in logs.

    Raises:
        CodeError: The constructor got an invalid number or invalid words.
    """

    number: str
    words: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not _NUMBER.fullmatch(self.number):
            raise CodeError(f'"{_cut(self.number)}" is not the number of a code.')
        _check_words(self.words)

    def __str__(self) -> str:
        return "-".join((self.number, *self.words))

    @property
    def password(self) -> bytes:
        """The input of both sides to CPace: the whole normalised code in UTF-8."""
        return str(self).encode()

    def link(self, base_url: str) -> str:
        """The link that opens the page with this code.

        The code stands in the fragment, which browsers never send to a server.

        Args:
            base_url: Where the page is, as in `https://host:8443/`; a `ws(s)` URL, a query and a
                fragment are turned into that form.
        """
        parts = urlsplit(base_url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        return urlunsplit((scheme, parts.netloc, parts.path or "/", "", str(self)))

    @classmethod
    def parse(cls, text: str) -> Code:
        """Read a code that was typed, pasted, or taken from a link.

        Raises:
            CodeError: The text is not a code; the message says why and, for an unknown word, which
                one was probably meant.
        """
        tokens = _tokens(text)
        if not tokens:
            raise CodeError(f"There is no code; it looks like {_EXAMPLE}.")
        glued = _GLUED_NUMBER.fullmatch(tokens[0])
        if glued:  # "7guitar ocean", as some dictation writes it
            tokens[:1] = glued.groups()
        number, words = tokens[0], tuple(tokens[1:])
        if not (number.isascii() and number.isdecimal()):
            raise CodeError(f"A code begins with its number, as in {_EXAMPLE}.")
        number = number.lstrip("0")
        if not words:
            raise CodeError(
                f'"{_cut(tokens[0])}" is only the number of a code: its words are missing, '
                f"as in {_EXAMPLE}."
            )
        if not _NUMBER.fullmatch(number):
            raise CodeError(f'"{_cut(tokens[0])}" is not the number of a code.')
        return cls(number, words)


def make_words(random: bytes, count: int = DEFAULT_WORDS) -> tuple[str, ...]:
    """Choose the words of a new code.

    Args:
        random: At least `RANDOM_BYTES` uniformly random bytes, used for nothing else.
        count: How many words.

    Raises:
        ValueError: Too few random bytes, or a count outside `MIN_WORDS` .. `MAX_WORDS`.
    """
    if len(random) < RANDOM_BYTES:
        raise ValueError(f"make_words needs {RANDOM_BYTES} random bytes, not {len(random)}")
    if not MIN_WORDS <= count <= MAX_WORDS:
        raise ValueError(f"a code has {MIN_WORDS} to {MAX_WORDS} words, not {count}")
    rest, chosen = int.from_bytes(random, "big"), []
    for _ in range(count):
        rest, index = divmod(rest, len(WORDS))
        chosen.append(WORDS[index])
    return tuple(chosen)


def complete(prefix: str) -> tuple[str, ...]:
    """The words that begin with `prefix`, in order; three letters leave one at most."""
    prefix = prefix.lower()
    return tuple(word for word in WORDS if word.startswith(prefix))


def suggest(text: str) -> str | None:
    """The word that was probably meant, or None when nothing is near.

    A unique prefix counts as its word. Otherwise the nearest word wins by edit distance (letters
    inserted, dropped, changed, or two neighbours swapped), up to a limit that grows with the
    length; among equally near ones the first that shares the longest beginning. Failing that,
    three right letters at the start are enough.
    """
    candidates = complete(text)
    if len(candidates) == 1:
        return candidates[0]
    limit = 1 if len(text) < 5 else 2 if len(text) < 7 else 3
    best: tuple[int, int, str] | None = None
    for word in WORDS:
        if abs(len(word) - len(text)) > limit:
            continue
        distance = _edit_distance(text, word)
        if distance <= limit and (best is None or (distance, -_shared(text, word)) < best[:2]):
            best = (distance, -_shared(text, word), word)
    if best:
        return best[2]
    beginning = complete(text[:3]) if len(text) >= 3 else ()
    return beginning[0] if beginning else None


def _tokens(text: str) -> list[str]:
    """Split the typed text into number and words."""
    if len(text) > _MAX_TEXT:
        raise CodeError(f"That is too long to be a code; it looks like {_EXAMPLE}.")
    code = unwrap(text).code
    if code is None:
        raise CodeError("This link has no code in it: the part after the # is missing.")
    return "".join(
        letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in code.lower()
    ).split()


def _check_words(words: tuple[str, ...]) -> None:
    """Raise for unknown words, or for too few or too many of them."""
    if len(words) > MAX_WORDS:
        raise CodeError(f"A code has at most {MAX_WORDS} words after its number, not {len(words)}.")
    unknown = [word for word in words if word not in _WORD_SET]
    if unknown:
        hints = []
        for word in unknown:
            meant = suggest(word) if len(word) <= _SHOWN else None
            hint = f'"{_cut(word)}" is not a word of any code'
            hints.append(f'{hint}; did you mean "{meant}"?' if meant else f"{hint}.")
        raise CodeError(" ".join(hints))
    if len(words) < MIN_WORDS:
        raise CodeError(
            f"A code has at least {MIN_WORDS} words after its number, as in {_EXAMPLE}."
        )


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _shared(a: str, b: str) -> int:
    """How many letters two words have in common at the start."""
    count = 0
    for left, right in zip(a, b, strict=False):
        if left != right:
            break
        count += 1
    return count


def _edit_distance(a: str, b: str) -> int:
    """Letters to insert, drop, change or swap with their neighbour to make `b` of `a`."""
    before: list[int] = []
    previous = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            cost = min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, previous = previous, row
    return previous[-1]
