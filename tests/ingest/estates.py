"""A folder, a library and a sync between them, for tests."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from ingest.discover import RACY_NANOSECONDS
from ingest.sync import SyncReport, register
from rag.catalog.documents import list_documents
from rag.catalog.folders import folder_key
from rag.library import Library
from tests.ingest.reading import read_all

OLD = 1_600_000_000_000_000_000


@dataclass
class Estate:
    """A folder, a library, and a sync between them."""

    folder: Path
    library: Library

    def write(self, name: str, text: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        os.utime(path, ns=(OLD, OLD))

    def sync(self, confirmed: bool = False) -> SyncReport:
        key = folder_key(self.library.catalog, str(self.folder), "default")
        report = register(
            self.library.settings, self.library.catalog, self.folder, key, "default", confirmed
        )
        read_all(self.library)
        return report

    def rest(self) -> None:
        """Wait until the files' times are old enough to be trusted."""
        time.sleep(RACY_NANOSECONDS / 10**9 + 0.1)

    def stays_as_it_is(self, files: int) -> None:
        """Sync ten times over a folder of so many unchanged files: not a byte of it changes."""
        self.rest()
        self.sync()
        held = self.library.settings.home / "catalog.sqlite"
        self.library.catalog.truncate_log()
        before, documents = held.read_bytes(), list_documents(self.library.catalog)
        for _ in range(10):
            assert counts(self.sync()) == (0, 0, 0, files, 0)
        self.library.catalog.truncate_log()
        assert list_documents(self.library.catalog) == documents
        assert held.read_bytes() == before

    def sources(self) -> dict[str, str]:
        return {d.source: d.id for d in list_documents(self.library.catalog, 1000)}

    def finds(self, query: str) -> list[str]:
        return [p.source for p in self.library.search(query, limit=20)]


def counts(report: SyncReport) -> tuple[int, int, int, int, int]:
    """New, changed, renamed, unchanged, removed."""
    return (report.new, report.changed, report.renamed, report.unchanged, report.removed)
