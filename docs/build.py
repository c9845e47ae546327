"""Builds the documentation site into build/site: `make docs`.

Pages live where people meet them in the repository: README.md at the top, each PROTOCOL.md beside
its code. This program collects them in build/docs, turns links between them into links of the
site, writes a page for each public package from its `__all__`, and runs zensical, which fails on a
link or an anchor that leads nowhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
STAGE: Final = ROOT / "build" / "docs"

ELSEWHERE: Final = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "topics/architecture.md",
    "CONTRIBUTING.md": "topics/contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "topics/reporting.md",
    "docs/security.md": "topics/security.md",
    "signaling/PROTOCOL.md": "reference/signaling-protocol.md",
    "peer/PROTOCOL.md": "reference/link-protocol.md",
    "peer/transfer/PROTOCOL.md": "reference/transfer-protocol.md",
    "peer/sctp/README.md": "reference/sctp-rfcs.md",
    "bench/RESULTS.md": "topics/measurements.md",
}
"""Where the pages outside `docs` and those with another place in the site go."""

PACKAGES: Final = {
    "peer": "The library: rooms, links, channels, chat and transfers.",
    "signaling": "The signaling server, for programs that run it or mount it.",
    "peer.sctp": "The SCTP association, sans-I/O.",
    "peer.transfer.protocol": "The state machines of a file transfer, sans-I/O.",
}

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")


def pages() -> dict[Path, Path]:
    """Each page's source and its place in the site, both relative."""
    found = {Path(source): Path(target) for source, target in ELSEWHERE.items()}
    for path in sorted((ROOT / "docs").rglob("*.md")):
        source = path.relative_to(ROOT)
        found.setdefault(source, path.relative_to(ROOT / "docs"))
    return found


def with_links_of_the_site(text: str, source: Path, places: dict[Path, Path]) -> str:
    """A page's text with its relative links as they are in the site.

    Links to files that are no pages become plain text: the site does not hold the source code.
    """

    def link(match: re.Match[str]) -> str:
        image, label, target, anchor = match[1], match[2], match[3], match[4] or ""
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        file = Path(os.path.normpath(source.parent / target))
        here = places[source].parent
        if image:
            asset = STAGE / "assets" / file.name
            asset.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, asset)
            return f"![{label}]({os.path.relpath(asset, STAGE / here)})"
        if file in places:
            return f"[{label}]({os.path.relpath(places[file], here)}{anchor})"
        return label

    return _LINK.sub(link, text)


def reference(package: str) -> str:
    """The page of a package: an entry for each of its public names."""
    names = sorted(import_module(package).__all__, key=str.lower)
    entries = "\n".join(f"::: {package}.{name}\n" for name in names)
    return f"# {package}\n\n{PACKAGES[package]}\n\n{entries}"


def main() -> int:
    """Collects the pages and builds the site.

    Returns:
        The exit status of zensical.
    """
    shutil.rmtree(STAGE, ignore_errors=True)
    places = pages()
    for source, target in places.items():
        if (ROOT / source).exists():
            page = STAGE / target
            page.parent.mkdir(parents=True, exist_ok=True)
            text = (ROOT / source).read_text(encoding="utf-8")
            page.write_text(with_links_of_the_site(text, source, places), encoding="utf-8")
    for package in PACKAGES:
        page = STAGE / "reference" / f"{package}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(reference(package), encoding="utf-8")
    zensical = Path(sys.executable).with_name("zensical")
    return subprocess.run([zensical, "build", "--strict", "--clean"], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
