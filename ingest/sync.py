"""Keeps the library in step with a folder: the cron task.

First the folder is walked and compared with the catalog, then what is new or changed is read and
registered, batch by batch, then what vanished is dropped. The worker does the rest.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.conversion import LEGACY_KINDS, find_converter
from ingest.discover import Found, Passed, stat_key, telling, walk, why, why_not
from ingest.opening import hash_within, open_within
from ingest.patterns import Selection, selection
from ingest.reading import nesting
from rag.catalog import Catalog
from rag.catalog.attempts import queue_unconverted
from rag.catalog.batching import batched
from rag.catalog.folders import Known, drop_files, known_files, put_files, touch_files
from rag.catalog.versions import FileVersion
from rag.errors import DocumentError, StorageError, TooLarge, UsageError
from rag.originals import Incoming, incoming, original_path
from rag.settings import Settings

_BATCH = 200
_TRIES = 3


@dataclass(slots=True)
class SyncReport:
    """What a sync found. A file that could not be read counts in `failed` as well."""

    new: int = 0
    changed: int = 0
    renamed: int = 0
    unchanged: int = 0
    removed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    skips: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """The folder beside the catalog: what to read, and what is gone."""

    unchanged: int
    to_read: tuple[Found, ...]
    vanished: tuple[Known, ...]
    passed: tuple[Passed, ...]


def plan(
    folder: Path,
    known: dict[str, Known],
    chosen: Selection | None = None,
    home: Path | None = None,
) -> Plan:
    """Compare the files below `folder` with what is known of them, by name and stat key.

    What is not `chosen` any more, or in the data directory `home`, is as good as vanished.
    """
    seen: set[str] = set()
    unchanged, to_read, passed = 0, [], []
    for found in walk(folder, chosen, home):
        if isinstance(found, Passed):
            passed.append(found)
            continue
        seen.add(found.source)
        before = known.get(found.source)
        same = before and (before.stat_key, before.kind) == (found.stat_key, found.kind)
        if same and telling(found.stat_key):
            unchanged += 1
        else:
            to_read.append(found)
    # what could not be looked at is not gone
    unseen = tuple(p.source for p in passed if p.failed or not p.readable_now)
    vanished = [
        file for source, file in known.items() if source not in seen and not _below(source, unseen)
    ]
    return Plan(unchanged, tuple(to_read), tuple(vanished), tuple(passed))


def register(
    settings: Settings,
    catalog: Catalog,
    folder: Path,
    folder_id: int,
    collection: str,
    confirmed: bool = False,
    chosen: Selection | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> SyncReport:
    """Bring the catalog in step with the folder; the worker then reads what is queued.

    `tell` is told how many of the files that are new or changed are registered, and of how many.
    Raises NotFound for no such folder, UsageError for Cloister's own, and where all vanished, or so
    much that it looks like a mistake, and `confirmed` is not set, StorageError on a full disk. What
    was registered stays, and what vanished is gone. Of a folder that is not there what is known is
    dropped if `confirmed`.
    """
    if find_converter(settings):
        queue_unconverted(catalog, LEGACY_KINDS)
    known = known_files(catalog, folder_id)
    if refusal := why_not(folder, settings.home):
        return _let_go(catalog, known, refusal, confirmed)
    root = folder.resolve()
    plan_ = plan(root, known, chosen or chosen_by(settings), settings.home)
    if not confirmed:
        _refuse_mass_removal(settings, root, plan_, known)
    registrar = _Registrar(settings, catalog, root, folder_id, collection, known, plan_.vanished)
    report = registrar.report
    report.unchanged = plan_.unchanged
    for passed in plan_.passed:
        (report.failures if passed.failed else report.skips).append((passed.source, passed.reason))
    done = 0
    try:
        for batch in batched(plan_.to_read, _BATCH):
            registrar.read(batch)
            done += len(batch)
            if tell:
                tell(done, len(plan_.to_read))
    except StorageError:
        registrar.drop_vanished(plan_.to_read[done:])
        raise
    registrar.drop_vanished()
    return report


def _let_go(
    catalog: Catalog, known: dict[str, Known], refusal: UsageError, confirmed: bool
) -> SyncReport:
    """Drop the documents of a folder that cannot be synced any more, where that is `confirmed`.

    What a person removed stays removed, should the folder come back. Else raises the refusal.
    """
    live = [file.document_id for file in known.values() if file.state != "removed"]
    if not live:
        raise refusal
    if not confirmed:
        raise type(refusal)(
            f"{refusal} If the folder is gone for good, or given up, a sync of it with "
            f"--confirm-deletions takes its documents ({len(live)}) out of the library."
        )
    drop_files(catalog, live)
    return SyncReport(removed=len(live))


def chosen_by(
    settings: Settings, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Selection:
    """Which files are synced: by the patterns given, where none are by the settings' own.

    Raises UsageError.
    """
    return selection(
        include or settings.sync_include,
        exclude or settings.sync_exclude,
        settings.sync_hidden,
        frozenset() if find_converter(settings) else LEGACY_KINDS,
    )


class _Registrar:
    """Reads files of one folder and registers them, telling new, changed and moved apart."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        root: Path,
        folder_id: int,
        collection: str,
        known: dict[str, Known],
        vanished: Sequence[Known],
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._root = root
        self._vanished = vanished
        self._folder_id = folder_id
        self._collection = collection
        self._known = known
        # one that a person removed stays removed under its new name; a live one goes before it
        gone = sorted(vanished, key=lambda file: file.state != "removed")
        self._gone = {file.bytes_hash: file for file in gone}
        self._hashes = {file.bytes_hash for file in known.values() if file.state != "removed"}
        self._moved: set[str] = set()
        self.report = SyncReport()

    def read(self, batch: Sequence[Found]) -> None:
        """Read and register some files, all in one transaction."""
        files: list[FileVersion] = []
        touched: list[tuple[str, str]] = []
        with incoming(self._settings, self._catalog) as originals:
            for found in batch:
                before = self._known.get(found.source)
                if before and (key := self._same(found, before)) is not None:
                    self.report.unchanged += 1
                    touched.append((before.document_id, key))
                    continue
                read = self._read(originals, found)
                if isinstance(read, str):
                    self.report.failures.append((found.source, read))
                    continue
                bytes_hash, size, key = read
                if before and (before.bytes_hash, before.kind) == (bytes_hash, found.kind):
                    self.report.unchanged += 1
                    touched.append((before.document_id, key))
                    continue
                if self._is_stored(bytes_hash):
                    originals.drop(bytes_hash)
                origin, same = self._origin(found, before, bytes_hash)
                files.append(
                    FileVersion(origin, found.source, found.kind, bytes_hash, size, key, same)
                )
            originals.settle()
            if files:
                limits = nesting(self._settings)
                out = put_files(self._catalog, self._folder_id, self._collection, files, limits)
                # what a person removed stays as it is, also where it is new here
                self.report.new -= out
                self.report.unchanged += out
        if touched:
            touch_files(self._catalog, touched)

    def drop_vanished(self, unread: Sequence[Found] = ()) -> None:
        """Take out what is not in the folder any more.

        What may only have moved, to a name that is still `unread`, stays.
        """
        gone = [file for file in self._vanished if file.document_id not in self._moved]
        if gone and unread:
            moved = set(_hashes(self._root, unread))
            gone = [file for file in gone if file.bytes_hash not in moved]
        drop_files(self._catalog, [file.document_id for file in gone])
        self.report.removed = sum(file.state != "removed" for file in gone)

    def _read(self, originals: Incoming, found: Found) -> tuple[str, int, str] | str:
        """SHA-256, size and stat key of a file, stored whole; or why it could not be."""
        for _ in range(_TRIES):
            try:
                with open_within(self._root, Path(found.path)) as file:
                    before = os.fstat(file.fileno())
                    originals.check_size(before.st_size, found.source)
                    bytes_hash, size, _head = originals.take(file, found.source)
                    after = os.fstat(file.fileno())
            except (TooLarge, DocumentError) as error:
                return str(error)
            except OSError as error:
                return f"it cannot be read: {why(error)}"
            if _version(before) == _version(after):
                return bytes_hash, size, stat_key(after)
        return "it changed each time it was read; the next sync tries again"

    def _same(self, found: Found, before: Known) -> str | None:
        """The stat key of a file whose bytes are known and need not be stored, else None."""
        if before.kind != found.kind:
            return None
        if before.state != "removed" and not self._is_stored(before.bytes_hash):
            return None
        try:
            facts = Path(found.path).stat()
            if hash_within(self._root, Path(found.path)) != before.bytes_hash:
                return None
            after = Path(found.path).stat()
        except OSError:
            return None
        return stat_key(after) if _version(facts) == _version(after) else None

    def _is_stored(self, bytes_hash: str) -> bool:
        """Whether a committed document of the folder has these bytes, and they are there."""
        return bytes_hash in self._hashes and original_path(self._settings, bytes_hash).is_file()

    def _origin(
        self, found: Found, before: Known | None, bytes_hash: str
    ) -> tuple[str | None, bool]:
        """The document that a file continues, if any, and whether with the same bytes and kind."""
        if before:
            self.report.changed += 1
            return before.document_id, False
        if bytes_hash in self._gone:
            old = self._gone.pop(bytes_hash)
            self._moved.add(old.document_id)
            if old.state == "removed":
                self.report.unchanged += 1
                return old.document_id, True
            self.report.renamed += 1
            # one that had failed keeps its failure: the same bytes would fail again
            return old.document_id, old.kind == found.kind
        self.report.new += 1
        return None, False


def _version(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_size, facts.st_mtime_ns


def _refuse_mass_removal(
    settings: Settings, root: Path, plan_: Plan, known: dict[str, Known]
) -> None:
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
    vanished = (gone - Counter(_hashes(root, new))).total()
    if vanished > most:
        raise UsageError(
            f"{vanished} of {live} files are gone from the folder, or left out by the patterns: "
            f"more than sync.removed_share allows ({share:.0%}). {ask}"
        )


def _hashes(root: Path, files: Sequence[Found]) -> Iterator[str]:
    for found in files:
        with contextlib.suppress(OSError):
            yield hash_within(root, Path(found.path))


def _below(source: str, unseen: tuple[str, ...]) -> bool:
    return any(
        top == "." or source == top or source.startswith(f"{top.rstrip('/')}/") for top in unseen
    )
