"""Files that are gone from a synced folder."""

from __future__ import annotations

import contextlib
import stat
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.discover import Found
from ingest.opening import hash_within
from ingest.planning import Plan
from rag.catalog.folders import Known
from rag.errors import UsageError
from rag.settings import Settings

# so many parts of two paths, from their ends, tell which of several copies went where
_TAIL = 6


class Vanished:
    """What a plan found gone: some of it only moved, the rest is to be dropped."""

    def __init__(self, root: Path, plan_: Plan) -> None:
        self._root = root
        self._plan = plan_
        self._moved: set[str] = set()
        self._by_tail: dict[tuple[str, ...], list[Known]] = defaultdict(list)
        # the last of a list is the first to be taken: a live one before one that a person removed
        order = sorted(plan_.vanished, key=lambda f: (f.state == "removed", f.source), reverse=True)
        for file in order:
            for key in _keys(file.bytes_hash, file.kind, file.source):
                self._by_tail[key].append(file)

    def moved_to(self, source: str, kind: str, bytes_hash: str) -> Known | None:
        """A file with these bytes that is gone and not taken yet, best of this kind and name."""
        for key in _keys(bytes_hash, kind, source):
            files = self._by_tail.get(key, [])
            while files:
                file = files.pop()
                if file.source not in self._moved:
                    self._moved.add(file.source)
                    return file
        return None

    def gone(self, unread: Sequence[Found] = ()) -> list[Known]:
        """What did not move, also not to a name that is still `unread`, and is not there again.

        A file may be away for an instant while an editor saves it.
        """
        left = [file for file in self._plan.vanished if file.source not in self._moved]
        if left and unread:
            moved = set(hashes(self._root, unread))
            left = [file for file in left if file.bytes_hash not in moved]
        names: dict[Path, frozenset[str]] = {}
        return [
            file
            for file in left
            if file.source in self._plan.left_out or not _is_back(self._root, file.source, names)
        ]


def _keys(bytes_hash: str, kind: str, source: str) -> Iterator[tuple[str, ...]]:
    """Under what a file with these bytes is looked for: the end of its path, the longest first."""
    parts = source.split("/")
    for count in range(min(len(parts), _TAIL), 0, -1):
        yield bytes_hash, kind, "/".join(parts[-count:])
    yield bytes_hash, kind
    yield (bytes_hash,)


def _is_back(root: Path, source: str, names: dict[Path, frozenset[str]]) -> bool:
    """Whether a file, or a link, is at this path now, or that cannot be told."""
    try:
        mode = (root / source).lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            return False
        # where capitals make no difference, another file may answer to the name
        return _is_listed(root, source, names)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _is_listed(root: Path, source: str, names: dict[Path, frozenset[str]]) -> bool:
    """Whether each part of a path is in its folder by that very name; `names` are those seen."""
    folder = root
    for part in source.split("/"):
        if part not in names.get(folder, ()):
            names[folder] = frozenset(path.name for path in folder.iterdir())
            if part not in names[folder]:
                return False
        folder /= part
    return True


def refuse_mass_removal(
    settings: Settings, root: Path, plan_: Plan, known: dict[str, Known]
) -> None:
    """Raises UsageError where so much is gone that it looks like a mistake."""
    # where a mount is missing the rest may be so too
    here = [file for source, file in known.items() if source not in plan_.away]
    live = sum(file.state != "removed" for file in here)
    ask = (
        "Nothing was changed. Is everything mounted, and are the patterns those of last time? "
        "If it is right, run the sync again with --confirm-deletions."
    )
    if live and len(plan_.vanished) == len(here) and not plan_.to_read:
        raise UsageError(
            f"The folder is empty, or the patterns leave all of it out: {live} of {live} files are "
            f"gone. {ask}"
        )
    gone = Counter(file.bytes_hash for file in plan_.vanished if file.state != "removed")
    share = settings.sync_removed_share
    # a lone file often gives way to one of another name
    most = max(1, share * live) if share else 0
    if gone.total() <= most:
        return
    # files that only moved are not gone: their bytes are there under other names
    new = [found for found in plan_.to_read if found.source not in known]
    vanished = (gone - Counter(hashes(root, new))).total()
    if vanished > most:
        raise UsageError(
            f"{vanished} of {live} files are gone from the folder, or left out by the patterns: "
            f"more than sync.removed_share allows ({share:.0%}). {ask}"
        )


def hashes(root: Path, files: Sequence[Found]) -> Iterator[str]:
    """The SHA-256 of those of these files that can be read."""
    for found in files:
        with contextlib.suppress(OSError):
            yield hash_within(root, Path(found.path))
