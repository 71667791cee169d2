"""What commands that were broken off left in the models folder: hidden folders that are no models.

The process that works in one holds a lock on it; what is held is under way, and stays.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rag.errors import Busy
from rag.models.staging import ADDING, LOCK, PULLING, TUNING, folder_name

# a model's folder on its way out
REMOVING = ".removing-"
_DOING = {ADDING: "adding", TUNING: "tuning", REMOVING: "removing"}
# as `pull` calls them: the model, and the beginning of its commit
_PULLED = re.compile(rf"{re.escape(PULLING)}(.+)-[0-9a-f]{{12}}")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A hidden folder of the model that would lie in `folder`, and what was being done with it."""

    path: Path
    folder: str
    doing: str

    @property
    def name(self) -> str:
        """The model's name, as `cloister models remove` takes it."""
        return self.folder.replace("--", "/", 1)


def leftovers(models_path: Path) -> list[Leftover]:
    """All that is not finished, by the hidden folder's name, be it broken off or under way."""
    found = (_leftover(path) for path in sorted(models_path.glob(".*")) if path.is_dir())
    return [one for one in found if one is not None]


def unfinished(models_path: Path, name: str) -> list[Leftover]:
    """What is not finished of this one model. Raises UsageError for what cannot name one."""
    folder = folder_name(name)
    return [one for one in leftovers(models_path) if one.folder == folder]


@contextmanager
def claimed(path: Path, doing: str) -> Iterator[None]:
    """Have a folder of the models folder for oneself. Raises Busy where a process works in it."""
    staged = path.name.startswith((PULLING, ADDING, TUNING))
    descriptor = (
        os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        if staged
        else os.open(path, os.O_RDONLY)
    )
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"Another process is {doing} this model. Wait until it ends.") from error
        except OSError:
            if staged:  # a network's file system may have no locks of folders
                raise
        yield
    finally:
        os.close(descriptor)


def clear_removed(models_path: Path) -> None:
    """Delete the rest of models whose removal was broken off."""
    for one in leftovers(models_path):
        if one.doing == _DOING[REMOVING]:
            with suppress(Busy, OSError), claimed(one.path, one.doing):
                shutil.rmtree(one.path, ignore_errors=True)


def size_of(folder: Path) -> int:
    """The bytes of a folder's files, also while they come and go."""
    size = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            size += file.lstat().st_size if file.is_file() or file.is_symlink() else 0
    return size


def _leftover(path: Path) -> Leftover | None:
    if pulled := _PULLED.fullmatch(path.name):
        return Leftover(path, pulled[1], "fetching")
    for prefix, doing in _DOING.items():
        if path.name.startswith(prefix):
            return Leftover(path, path.name.removeprefix(prefix), doing)
    return None
