"""The page: the files of its directory, with the right headers, and nothing beside them."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from signaling import ServerConfig
from signaling.assets import page_directory
from signaling.server import SignalingServer
from tests.support.servers.raw_websocket import request


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page, and files beside it and in it that are nobody's business."""
    page = tmp_path / "web"
    (page / "ui").mkdir(parents=True)
    (page / ".git").mkdir()
    (page / "index.html").write_text("<!doctype html><title>index</title>")
    (page / "main.js").write_text("export {};")
    (page / "style.css").write_text("body {}")
    (page / "ui" / "parts.mjs").write_text("export const a = 1;")
    (page / "icon.svg").write_text("<svg/>")
    (page / "with space.txt").write_text("spaced")
    (page / "run.py").write_text("secret")
    (page / ".hidden.js").write_text("secret")
    (page / ".git" / "config.txt").write_text("secret")
    (page / "folder.js").mkdir()
    (tmp_path / "outside.txt").write_text("secret")
    (page / "link.txt").symlink_to(tmp_path / "outside.txt")
    (page / "linked").symlink_to(tmp_path)
    return page


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[SignalingServer]:
    async with SignalingServer(ServerConfig(page=folder)) as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/", "text/html; charset=utf-8", "index"),
        ("/index.html", "text/html; charset=utf-8", "index"),
        ("/main.js", "text/javascript; charset=utf-8", "export"),
        ("/ui/parts.mjs", "text/javascript; charset=utf-8", "export"),
        ("/style.css", "text/css; charset=utf-8", "body"),
        ("/icon.svg", "image/svg+xml; charset=utf-8", "svg"),
        ("/with%20space.txt?v=1", "text/plain; charset=utf-8", "spaced"),
    ],
)
async def test_files_are_served_with_their_types_and_guards(
    server: SignalingServer, session: aiohttp.ClientSession, path: str, kind: str, body: str
) -> None:
    async with session.get(URL(server.urls[0] + path, encoded=True)) as response:
        assert response.status == 200
        assert body in await response.text()
        assert response.headers["Content-Type"] == kind
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert response.headers["Server"] == "peerline"
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; connect-src 'self' ws: wss:; ")
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt",
        "/ui/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/%2e%2e%2foutside.txt",
        "/..%2foutside.txt",
        "/..%5coutside.txt",
        "/ui/..\\..\\outside.txt",
        "/%252e%252e/outside.txt",
        "/....//outside.txt",
        "//outside.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/ui//parts.mjs",
        "/./main.js",
        "/ui/%2e/parts.mjs",
        "/main.js%00.html",
        "/main.js%0a",
        "/C:%5cmain.js",
        "/main.js::$DATA",
        "/main.js.",
        "/main.js/",
        "/ui",
        "/ui/",
        "/folder.js",
        "/run.py",
        "/.hidden.js",
        "/.git/config.txt",
        "/link.txt",
        "/linked/outside.txt",
        "/MAIN.JS",
        "/%ff.js",
        "/%u002e.js",
        "/missing.js",
        "/" + "a" * 300 + ".js",
        "/" + "a/" * 200 + "b.js",
    ],
)
async def test_nothing_else_is_served(server: SignalingServer, path: str) -> None:
    # As written: a client library would tidy these up.
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = await request(server.port, head.encode())
    assert re.match(rb"HTTP/1\.1 4\d\d ", answer), answer
    assert b"secret" not in answer
    assert b"root:" not in answer


async def test_a_path_of_many_parts_is_not_looked_for(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "resolve", None)
    text = b"GET /" + b"a/" * 100 + b"a.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await request(server.port, text)).startswith(b"HTTP/1.1 404 ")


async def test_an_unchanged_file_is_not_sent_again(
    server: SignalingServer, session: aiohttp.ClientSession
) -> None:
    async with session.get(server.urls[0] + "/main.js") as response:
        tag = response.headers["ETag"]
    for asked in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        headers = {"If-None-Match": asked}
        async with session.get(server.urls[0] + "/main.js", headers=headers) as response:
            assert response.status == 304, asked
            assert response.headers["ETag"] == tag
            assert await response.read() == b""


async def test_a_changed_file_is_sent_even_if_its_time_and_size_are_the_same(
    folder: Path, session: aiohttp.ClientSession
) -> None:
    # As after an upgrade: files from wheels all carry the same time.
    async with (
        SignalingServer(ServerConfig(page=folder)) as server,
        session.get(server.urls[0] + "/main.js") as response,
    ):
        tag = response.headers["ETag"]
    stat = (folder / "main.js").stat()
    (folder / "main.js").write_text("import {}.")
    os.utime(folder / "main.js", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    async with SignalingServer(ServerConfig(page=folder)) as server:
        headers = {"If-None-Match": tag}
        async with session.get(server.urls[0] + "/main.js", headers=headers) as response:
            assert response.status == 200
            assert await response.text() == "import {}."


async def test_an_edit_is_seen_without_a_restart(
    server: SignalingServer, folder: Path, session: aiohttp.ClientSession
) -> None:
    async with session.get(server.urls[0] + "/main.js") as response:
        assert await response.text() == "export {};"
    (folder / "main.js").write_text("export const changed = true;")
    async with session.get(server.urls[0] + "/main.js") as response:
        assert "changed" in await response.text()


async def test_head_says_the_same_without_the_body(
    server: SignalingServer, session: aiohttp.ClientSession
) -> None:
    async with session.head(server.urls[0] + "/main.js") as response:
        assert response.status == 200
        assert response.headers["Content-Length"] == "10"
        assert await response.read() == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods_are_refused(
    server: SignalingServer, session: aiohttp.ClientSession, method: str
) -> None:
    async with session.request(method, server.urls[0] + "/index.html") as response:
        assert response.status == 405


async def test_errors_carry_the_guards_too(
    server: SignalingServer, session: aiohttp.ClientSession
) -> None:
    async with session.get(server.urls[0] + "/missing") as response:
        assert response.status == 404
        assert "Content-Security-Policy" in response.headers
        assert response.content_type == "text/plain"


async def test_every_file_of_the_real_page_is_served(session: aiohttp.ClientSession) -> None:
    page = page_directory()
    async with SignalingServer(ServerConfig(page=page)) as server:
        for path in sorted(page.rglob("*")):
            if path.is_file():
                name = path.relative_to(page).as_posix()
                async with session.get(f"{server.urls[0]}/{name}") as response:
                    assert response.status == 200, name
                    assert await response.read() == path.read_bytes()
