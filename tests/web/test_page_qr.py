"""The page's QR codes are, module for module, those of an independent encoder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import segno.encoder

PAGE = Path(__file__).parent.parent.parent / "web" / "page"

SCRIPT = """
import { encode, svgPath } from './qr.js';
const cases = JSON.parse(process.argv[1]);
console.log(JSON.stringify(cases.map(([text, level, mask]) => {
  try {
    const code = encode(text, { level, mask: mask ?? undefined });
    const rows = code.rows.map((row) => Array.from(row));
    return { version: code.version, mask: code.mask, path: svgPath(code), rows };
  } catch (error) {
    return { error: error.name };
  }
})));
"""


def run(cases: list[tuple[str, str, int | None]]) -> list[dict[str, Any]]:
    """Encode each text with `web/page/qr.js`."""
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", SCRIPT, "--", json.dumps(cases)],
        cwd=PAGE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: list[dict[str, Any]] = json.loads(done.stdout)
    return result


@pytest.fixture(autouse=True)
def standard_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """segno 1.6 pads with a whole zero byte where ISO/IEC 18004, 7.4.10 does not.

    Readers ignore padding, but a comparison does not.
    """

    def pad(buff: Any, version: int, length: int) -> None:
        buff.extend([0] * (-length % 8))

    monkeypatch.setattr(segno.encoder, "write_padding_bits", pad)


def expected(text: str, level: str, mask: int) -> tuple[int, list[list[int]]]:
    code = segno.make_qr(text, error=level, boost_error=False, mode="byte", mask=mask)
    return int(code.version), [list(row) for row in code.matrix]


def link_of(length: int) -> str:
    return ("https://files.example.org:8443/#17-guitar-ocean-" * 7)[:length]


@pytest.mark.parametrize(("level", "most"), [("L", 271), ("M", 213)])
def test_every_version_and_mask_is_what_segno_draws(level: str, most: int) -> None:
    cases = [(link_of(n), level, n % 8) for n in [*range(1, most, 3), most]]
    cases += [(link_of(35), level, mask) for mask in range(8)]
    versions = set()
    for (text, _, mask), code in zip(cases, run(list(cases)), strict=True):
        assert (code["version"], code["rows"]) == expected(text, level, mask)
        versions.add(code["version"])
    assert versions == set(range(1, 11))


def test_a_chosen_mask_gives_what_segno_draws_with_it() -> None:
    texts = [link_of(n) for n in range(20, 90, 3)]
    codes = run([(text, "M", None) for text in texts])
    for text, code in zip(texts, codes, strict=True):
        assert code["rows"] == expected(text, "M", code["mask"])[1]
    assert len({code["mask"] for code in codes}) > 1


def test_other_letters_than_ascii_are_utf_8() -> None:
    (code,) = run([("https://例え.example/#7-guitar-ocean", "M", 0)])
    text = "https://例え.example/#7-guitar-ocean"
    # As bytes: for a text, segno would announce UTF-8 in a header that readers do not need.
    drawn = segno.make_qr(text.encode(), error="M", boost_error=False, mode="byte", mask=0)
    assert code["rows"] == [list(row) for row in drawn.matrix]


def test_a_text_that_does_not_fit_is_refused() -> None:
    assert run([(link_of(213), "M", None), ("x" * 272, "L", None)]) == [
        run([(link_of(213), "M", None)])[0],
        {"error": "RangeError"},
    ]


def test_the_picture_has_every_dark_module_and_a_light_border() -> None:
    (code,) = run([(link_of(40), "M", None)])
    side = len(code["rows"]) + 8
    drawn = [[0] * side for _ in range(side)]
    for piece in code["path"].strip("M").split("M"):
        start, _, width = piece.partition("h")
        x, y = map(int, start.split())
        for dx in range(int(width.split("v")[0])):
            drawn[y][x + dx] = 1
    assert [row[4:-4] for row in drawn[4:-4]] == code["rows"]
    assert sum(map(sum, drawn)) == sum(map(sum, code["rows"]))
