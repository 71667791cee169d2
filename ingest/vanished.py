"""Files that are gone from a synced folder."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ingest.discover import Found
from ingest.opening import hash_within
from ingest.planning import Plan
from rag.catalog.folders import Known
from rag.errors import UsageError
from rag.settings import Settings


def refuse_mass_removal(
    settings: Settings, root: Path, plan_: Plan, known: dict[str, Known]
) -> None:
    """Raises UsageError where so much is gone that it looks like a mistake."""
    live = sum(file.state != "removed" for file in known.values())
    ask = (
        "Nothing was changed. Is everything mounted, and are the patterns those of last time? "
        "If it is right, run the sync again with --confirm-deletions."
    )
    if live and len(plan_.vanished) == len(known) and not plan_.to_read:
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
