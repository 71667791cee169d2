"""Waits for changes below a folder: told by the system, and looked for now and then."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ingest.mounts import MOUNTS, list_mounts
from ingest.patterns import HIDDEN

# a change is followed when nothing more came for so long, or after so long at the most
_QUIET_MS = 400
_LONGEST_MS = 5_000
_TICK_MS = 1_000
# what other machines change there, this machine's kernel does not hear of
_REMOTE = {
    "9p", "afs", "beegfs", "ceph", "cifs", "drvfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4",
    "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs",
}  # fmt: skip


def notifies(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Whether the folder's file system tells of every change: not where other machines write."""
    best, kind = -1, ""
    for mount in list_mounts(mounts) or ():
        if folder.is_relative_to(mount.place) and len(mount.place.parts) >= best:
            best, kind = len(mount.place.parts), mount.kind
    return kind not in _REMOTE and not kind.startswith("fuse.")


def changes(
    folder: Path,
    stop: threading.Event,
    every: float,
    notified: bool,
    besides: Path,
    hidden: bool = False,
) -> Iterator[None]:
    """Once for each burst of changes, and `every` seconds at the latest, until `stop` is set.

    Hidden files count only where they are synced, what is in the folder `besides` below it never.
    When the folder vanishes or another is mounted in its place, that is a change. Raises OSError
    where the system cannot notify, as when it is out of watches.
    """
    while not stop.is_set():
        if notified and _is_there(folder):
            yield from _told(folder, stop, every, besides, hidden)
        elif not stop.wait(every):
            yield


def _told(
    folder: Path, stop: threading.Event, every: float, besides: Path, hidden: bool
) -> Iterator[None]:
    from watchfiles import Change, watch

    besides = besides.resolve()
    inside = besides.is_relative_to(folder)

    def counts(_change: Change, name: str) -> bool:
        path = Path(name)
        if not path.is_relative_to(folder) or (inside and path.is_relative_to(besides)):
            return False
        return hidden or not any(part.startswith(HIDDEN) for part in path.relative_to(folder).parts)

    identity, last = _identity(folder), time.monotonic()
    for found in watch(
        folder,
        watch_filter=counts,
        debounce=_LONGEST_MS,
        step=_QUIET_MS,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
        stop_event=stop,
        raise_interrupt=True,
        force_polling=False,
        ignore_permission_denied=True,
    ):
        other = _identity(folder) != identity
        if found or other or time.monotonic() - last >= every:
            yield
            last = time.monotonic()
        if other:
            return


def _is_there(folder: Path) -> bool:
    """Whether it can be watched now. Where not, the next sync says why, and it may be again."""
    try:
        return folder.is_dir()
    except OSError:
        return False


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        facts = os.stat(folder)  # noqa: PTH116 - follows what is mounted there now
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
