"""The data directory: it holds private documents, so it is its owner's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rag.errors import StorageError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def be_private() -> None:
    """Whatever this process and its children write from now on is readable by its owner alone."""
    os.umask(_OTHERS)


def make_home(folder: Path) -> None:
    """Make the data directory, and close it to other accounts where it is open to them.

    Raises StorageError where it cannot be made, or is no folder.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = folder.stat()
        # never a folder like /tmp, which is everybody's
        if now.st_uid == os.geteuid() and now.st_mode & _OTHERS and not now.st_mode & stat.S_ISVTX:
            folder.chmod(stat.S_IMODE(now.st_mode) & ~_OTHERS)
    except OSError as error:
        raise unusable(error.strerror) from error


def unusable(reason: str | None) -> StorageError:
    """The error of a data directory that cannot be written, with what to do."""
    return StorageError(
        f"The data directory cannot be written: {reason}. "
        "Check its owner and free space, or set CLOISTER_HOME to another folder."
    )
