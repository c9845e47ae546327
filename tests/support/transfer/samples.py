"""Files and folders to send, and what became of them."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Final

__all__ = [
    "SIZES",
    "digests_in",
    "digests_of",
    "sha256_of",
    "write_file",
    "write_folder",
    "write_hole",
]

SIZES: Final = {"one byte.bin": 1, "né w.bin": 65536, "large.bin": 5_000_000, "empty.txt": 0}
"""Bytes by name: less than a segment, a frame, several segments, none."""


def sha256_of(data: bytes | Path) -> str:
    """The SHA-256 of some bytes or of a file, in hex."""
    return hashlib.sha256(data if isinstance(data, bytes) else data.read_bytes()).hexdigest()


def write_file(folder: Path, name: str, size: int) -> Path:
    """A file of random bytes."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def write_hole(folder: Path, name: str, size: int) -> Path:
    """A large file that takes no time to write."""
    path = folder / name
    with path.open("wb") as file:
        file.truncate(size)
    return path


def write_folder(folder: Path) -> Path:
    """A folder in which others are nested."""
    root = folder / "photos"
    for name, size in {"a.bin": 1, "sub/né w.bin": 70_000, "sub/deeper/z": 1_048_577}.items():
        write_file(root, name, size)
    return root


def digests_of(root: Path) -> dict[str, str]:
    """Every file below a folder, by its path from the folder's parent."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root.parent)): sha256_of(path) for path in files}


def digests_in(archive: Path) -> dict[str, str]:
    """Every file in a zip archive."""
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        return {
            entry.filename: sha256_of(opened.read(entry))
            for entry in opened.infolist()
            if not entry.is_dir()
        }
