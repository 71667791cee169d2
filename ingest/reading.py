"""Reads documents' stored bytes: text by their parsers, and the files within them.

Files of old Office are converted first.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from ingest.conversion import Converter
from ingest.formats import KINDS, kind_of
from ingest.intake import Intake
from ingest.parsers.packed import UnpackLimits
from ingest.sandbox import Sandbox
from rag.catalog import Catalog
from rag.catalog.family import Nesting, room_within
from rag.catalog.queue import Task
from rag.catalog.versions import too_deep
from rag.errors import CorruptDocument
from rag.originals import incoming, original_path
from rag.parsed import Parsed
from rag.settings import Settings


def nesting(settings: Settings) -> Nesting:
    """What one file may bring, by the settings."""
    return Nesting(settings.ingest_depth, settings.ingest_members, settings.ingest_members_bytes)


class Reader:
    """Reads for one library, in any number of threads, each file in a child process."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._nesting = nesting(settings)
        self._lock = threading.Lock()
        self._stored: set[str] = set()
        self._converter = Converter(settings)
        self._sandbox = Sandbox(
            processes=settings.parsers,
            seconds=settings.ingest_parse_seconds,
            memory_mb=settings.ingest_parse_memory_mb,
            max_text_chars=settings.ingest_max_chars,
            ocr_pages=settings.ingest_ocr_pages if settings.ingest_ocr == "auto" else 0,
        )

    def read(self, task: Task) -> Parsed:
        """What is in a document; the files within it are stored, durably, when this returns.

        Raises DocumentError, StorageError.
        """
        path = original_path(self._settings, task.bytes_hash)
        try:
            with path.open("rb") as file:
                head = file.read(4096)
        except FileNotFoundError as error:
            raise CorruptDocument(
                f"The stored copy of “{task.source}” is gone; add the file again."
            ) from error
        kind_of(task.source, head)
        if new := KINDS[task.kind].becomes:
            with self._converter.converted(path, task.source, task.kind) as result:
                return self._sandbox.parse(result, task.source, new)
        if not KINDS[task.kind].unpacker:
            return self._sandbox.parse(path, task.source, task.kind)
        room = self._room(task)
        limits = UnpackLimits(
            max(0, room.members), max(0, room.size), self._settings.ingest_max_bytes
        )
        with incoming(self._settings, self._catalog) as originals:
            intake = Intake(originals, task.source, limits)
            parsed = self._sandbox.parse(path, task.source, task.kind, intake)
            originals.settle()
            with self._lock:
                self._stored.update(member.bytes_hash for member in intake.members)
        return replace(parsed, members=tuple(intake.members))

    def stored(self, idle: bool) -> set[str]:
        """The SHA-256 of members that were stored and that no row of the catalog may name yet.

        When `idle`, nothing that was read is on its way any more.
        """
        with self._lock:
            if idle:
                self._stored.clear()
            return set(self._stored)

    def close(self) -> None:
        """Stop what is being read."""
        self._sandbox.close()
        self._converter.close()

    def _room(self, task: Task) -> Nesting:
        with self._catalog.read() as connection:
            room = room_within(connection, task.document_id, self._nesting)
        # an archive that is too deep is not worth unpacking; a mail has a text
        if room.depth < 1 and not KINDS[task.kind].parser:
            raise too_deep(task.source, self._nesting)
        return room
