"""Serves the page: the files of one directory, and nothing beside them (floor 2)."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

__all__ = ["SECURITY_HEADERS", "Page"]

SECURITY_HEADERS: Final = {
    # `ws:` and `wss:` beside 'self': Safari does not count WebSockets to the page's own origin as
    # 'self', and a page may be told to use another server. No inline script or style, no eval.
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

# The types of files in a page. The system's table may call JavaScript `text/plain` (Windows, by a
# registry key), and browsers then refuse to run modules.
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json; charset=utf-8",
    ".woff2": "font/woff2",
}
_MAX_PATH: Final = 128
"""Characters of the longest path below the directory; the page's own have some 40."""


@dataclass(frozen=True, slots=True)
class _File:
    stamp: tuple[int, int]
    body: bytes
    etag: str


class Page:
    """Answers requests for the files under `directory`.

    Args:
        directory: Has an `index.html`. Changed files are served as changed.
    """

    def __init__(self, directory: Path) -> None:
        self._root = directory.resolve()
        self._files: dict[Path, _File] = {}

    async def respond(self, request: web.Request, path: str) -> web.Response:
        """Answer a request for `path`, which came from the URL and may be anything.

        Raises:
            web.HTTPNotFound: The page has no such file.
        """
        found = await asyncio.to_thread(self._find, path)
        if found is None:
            raise web.HTTPNotFound(text="404: there is no such page\n")
        name, file = found
        # `no-cache`: browsers keep files but ask each time, so that they see a new version at
        # once. The hash distinguishes versions, since all files of a wheel have the same time.
        headers = {"Cache-Control": "no-cache", "ETag": f'"{file.etag}"'}
        wanted = request.if_none_match
        # The weak comparison of RFC 9110, 13.1.2: a proxy may have made the tag weak.
        if wanted is not None and any(tag.value in ("*", file.etag) for tag in wanted):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = _TYPES[name.suffix]
        return web.Response(body=file.body, headers=headers)

    def _find(self, path: str) -> tuple[Path, _File] | None:
        parts = path.split("/") if path else ["index.html"]
        # The bound comes first, because each part costs a system call.
        if len(path) > _MAX_PATH or not all(_is_plain(part) for part in parts):
            return None
        name = self._root.joinpath(*parts)
        try:
            # A link may lead out of the directory.
            if name.suffix not in _TYPES or not name.resolve().is_relative_to(self._root):
                return None
            return name, self._read(name)
        except (OSError, ValueError):
            return None

    def _read(self, name: Path) -> _File:
        stat = name.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        file = self._files.get(name)
        if file is None or file.stamp != stamp:
            body = name.read_bytes()
            file = _File(stamp, body, hashlib.sha256(body).hexdigest()[:32])
            self._files[name] = file
        return file


def _is_plain(part: str) -> bool:
    """Whether a part of a path can only be a name in its directory, on any system."""
    return (
        part != ""
        and not part.startswith(".")
        and part.isprintable()
        and not any(character in part for character in '\\:*?"<>|')
    )
