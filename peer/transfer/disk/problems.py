"""One sentence for each error of a disk (floor 2)."""

from __future__ import annotations

import errno
import os
from typing import Final

from peer.errors import DiskError
from peer.text import show_name

__all__ = ["disk_error", "may"]

_READING: Final = {
    errno.ENOENT: "There is no file or folder called {name}.",
    errno.EACCES: "{name} cannot be read: permission denied.",
    errno.EPERM: "{name} cannot be read: permission denied.",
    errno.EIO: "{name} cannot be read: the disk reports an error.",
    errno.ELOOP: "{name} cannot be read: its links lead in a circle.",
}

_WRITING: Final = {
    errno.ENOSPC: "The disk is full: {name} could not be written.",
    errno.EDQUOT: "The disk quota is used up: {name} could not be written.",
    errno.EFBIG: "{name} is larger than a file may be on this disk.",
    errno.EACCES: "No permission to write {name}.",
    errno.EPERM: "No permission to write {name}.",
    errno.EROFS: "The disk is read-only: {name} could not be written.",
    errno.EIO: "{name} could not be written: the disk reports an error.",
    errno.ENAMETOOLONG: "The name {name} is too long for this disk.",
    errno.EINVAL: "The name {name} is not allowed on this disk.",
    errno.EILSEQ: "The name {name} is not allowed on this disk.",
    errno.ELOOP: "{name} was not written: a link is in the way.",
    errno.ENOTDIR: "{name} was not written: something that is not a folder is in the way.",
    errno.EISDIR: "{name} was not written: a folder of that name is in the way.",
    errno.EEXIST: "{name} was not written: something of that name is in the way.",
    errno.ENOENT: "{name} was not written: its folder has disappeared.",
    errno.EMFILE: "{name} was not written: too many files are open.",
    errno.ENFILE: "{name} was not written: too many files are open.",
}


def disk_error(exc: OSError, name: str | os.PathLike[str], *, writing: bool) -> DiskError:
    """Map an OSError to a sentence for people.

    Args:
        exc: Error of the system; chain it as the cause.
        name: The file or folder.
        writing: Whether writing failed, and not reading.
    """
    table = _WRITING if writing else _READING
    shown = f'"{show_name(os.fspath(name))}"'
    sentence = table.get(exc.errno or 0)
    if sentence is None:
        reason = (exc.strerror or str(exc) or type(exc).__name__).lower().rstrip(".")
        sentence = f"{{name}} cannot be {'written' if writing else 'read'}: {reason}."
        return DiskError(sentence.replace("{name}", shown))
    return DiskError(sentence.replace("{name}", shown))


def may(path: str | os.PathLike[str], what: int) -> bool:
    """Return whether the effective user has access; `what` is `os.R_OK`, ..."""
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)
