"""Keeps the library in step with a folder: the cron task.

First the folder is walked and compared with the catalog, then what is new or changed is read and
registered, batch by batch, then what vanished is dropped. The worker does the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.conversion import LEGACY_KINDS, find_converter
from ingest.discover import Found, stat_key, why, why_not
from ingest.opening import hash_within, open_within
from ingest.patterns import Selection, selection
from ingest.planning import plan
from ingest.reading import nesting
from ingest.vanished import Vanished, refuse_mass_removal
from rag.catalog import Catalog
from rag.catalog.attempts import queue_unconverted
from rag.catalog.batching import batched
from rag.catalog.folders import (
    Known,
    drop_files,
    known_files,
    known_mounts,
    note_mounts,
    put_files,
    touch_files,
)
from rag.catalog.stale import mark_stale, stale_note
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
    noted = known_mounts(catalog, folder_id)
    mounts = frozenset[str]() if confirmed else noted
    plan_ = plan(root, known, chosen or chosen_by(settings), settings.home, mounts)
    if not confirmed:
        refuse_mass_removal(settings, root, plan_, known)
    if plan_.mounts not in (None, noted):
        note_mounts(catalog, folder_id, plan_.mounts or ())
    vanished = Vanished(root, plan_)
    registrar = _Registrar(settings, catalog, root, folder_id, collection, known, vanished)
    report = registrar.report
    report.unchanged = plan_.unchanged
    for passed in plan_.passed:
        (report.failures if passed.failed else report.skips).append((passed.source, passed.reason))
    registrar.note_unread(plan_.unreadable)
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
        vanished: Vanished,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._root = root
        self._vanished = vanished
        self._folder_id = folder_id
        self._collection = collection
        self._known = known
        self._hashes = {file.bytes_hash for file in known.values() if file.state != "removed"}
        self.report = SyncReport()

    def read(self, batch: Sequence[Found]) -> None:
        """Read and register some files, all in one transaction."""
        files: list[FileVersion] = []
        touched: list[tuple[str, str]] = []
        unread: list[tuple[Known, str]] = []
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
                    if before:
                        unread.append((before, read))
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
        self.note_unread(unread)

    def note_unread(self, files: Sequence[tuple[Known, str]]) -> None:
        """Say at the documents that answer for these files that they cannot be read, and why."""
        reasons = {
            file.document_id: reason
            for file, reason in files
            if file.state == "live" and file.error != stale_note(reason)
        }
        if reasons:
            mark_stale(self._catalog, reasons)

    def drop_vanished(self, unread: Sequence[Found] = ()) -> None:
        """Take out what is not in the folder any more.

        What may only have moved, to a name that is still `unread`, stays, and what is there again.
        """
        gone = self._vanished.gone(unread)
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
            # of a file that is too large the whole would be hashed at each sync
            if facts.st_size != before.size:
                return None
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
        if old := self._vanished.moved_to(found.source, found.kind, bytes_hash):
            # one that a person removed stays removed under its new name
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
