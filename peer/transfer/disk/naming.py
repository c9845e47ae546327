"""Atomic renaming that never replaces an existing file (floor 2)."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Final

from .partial import PRIVATE

__all__ = ["take_name"]

_NO_HARD_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
)
_NO_SUCH_RENAME: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP})
"""Errors of a kernel, sandbox or file system without that flag."""
_NOREPLACE: Final = 1
"""`RENAME_NOREPLACE` of renameat2(2)."""
_PLACEHOLDER: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def take_name(folder: int, partial: str, name: str) -> bool:
    """Give a partial file a name, if the name is free.

    Args:
        folder: Descriptor of its folder.
        partial: Its name in that folder.
        name: Its new name.

    Returns:
        False if the name exists; the existing entry is not changed.

    Raises:
        OSError: The file cannot have that name.
    """
    rename = _renameat2()
    if rename is not None:
        problem = rename(folder, os.fsencode(partial), os.fsencode(name))
        if problem in (0, errno.EEXIST):
            return problem == 0
        if problem not in _NO_SUCH_RENAME:
            raise OSError(problem, os.strerror(problem))
    try:
        os.link(partial, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as exc:
        if exc.errno not in _NO_HARD_LINKS:
            raise
        return _reserve(folder, partial, name)
    os.unlink(partial, dir_fd=folder)
    return True


def _reserve(folder: int, partial: str, name: str) -> bool:
    """Reserve the name with an empty file, on file systems without hard links."""
    try:
        os.close(os.open(name, _PLACEHOLDER, PRIVATE, dir_fd=folder))
    except FileExistsError:
        return False
    os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
    return True


@cache
def _renameat2() -> Callable[[int, bytes, bytes], int] | None:
    """Load renameat2(2), which Python does not offer: half the work of link and unlink.

    Returns:
        A function that returns 0 or an errno; None if the call does not exist.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return None
    call.argtypes = (
        *(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p),
        ctypes.c_uint,
    )

    def rename(folder: int, old: bytes, new: bytes) -> int:
        return ctypes.get_errno() if call(folder, old, folder, new, _NOREPLACE) else 0

    return rename
