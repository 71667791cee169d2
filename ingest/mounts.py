"""What is mounted where, by the system's own list."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

# of Linux; no other system has it
MOUNTS = Path("/proc/self/mountinfo")
# how the list writes a space, a line break and a backslash in a path
_ESCAPED = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system of this `kind`, and the folder where it is mounted."""

    place: Path
    kind: str


def list_mounts(listed: Path = MOUNTS) -> list[Mount] | None:
    """What is mounted now, what lies over another later than that; None where none can tell."""
    try:
        lines = listed.read_bytes().splitlines()
    except OSError:
        return None
    return [_mount(line) for line in lines]


def mounts_below(folder: Path) -> frozenset[str] | None:
    """The paths below `folder`, from it, at which something is mounted; None where none can tell.

    One whose name is not UTF-8 is left out: nothing of it is in a library.
    """
    mounts = list_mounts()
    if mounts is None:
        return None
    found = {str(m.place.relative_to(folder)) for m in mounts if folder in m.place.parents}
    return frozenset(path for path in found if _is_text(path))


def _mount(line: bytes) -> Mount:
    head, _, tail = line.partition(b" - ")
    place = _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), head.split(b" ")[4])
    return Mount(Path(os.fsdecode(place)), os.fsdecode(tail.split(b" ")[0]))


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
