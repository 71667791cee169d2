"""Opens a file of a synced folder, which may have become another since the folder was walked."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

# where Linux tells the path of an open file
_OPEN_FILES = Path("/proc/self/fd")


def open_within(root: Path, path: Path) -> BufferedReader:
    """The file at `path`, open for reading, if it is an ordinary one below `root`.

    Raises OSError, also where it has become a pipe, or a link that leads out of the folder.
    """
    # a pipe would keep who opens it waiting
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        ordinary = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if not ordinary or not _place(descriptor, path).is_relative_to(root):
            raise OSError(errno.EINVAL, "it is not an ordinary file of the folder any more")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def hash_within(root: Path, path: Path) -> str:
    """The SHA-256 of a file in hex. Raises as `open_within` does."""
    with open_within(root, path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(descriptor: int, path: Path) -> Path:
    """Where an open file lies, whatever links led to it."""
    with suppress(OSError):
        return (_OPEN_FILES / str(descriptor)).readlink()
    return path.resolve()
