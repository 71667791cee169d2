"""From a claimed document to a draft: parsed, its language told, and chunked."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np

from ingest.chunking import Chunker
from ingest.drafts import Draft, LongDraft, ShortDraft
from ingest.languages import language_of
from ingest.reading import Reader
from rag.catalog import Catalog
from rag.catalog.attempts import MAX_ATTEMPTS
from rag.catalog.contents import Content, indexed, is_answering
from rag.catalog.portions import Begun, Gone, begin, begun
from rag.catalog.queue import STARTED, Task, fail, report
from rag.embedding import Embedder
from rag.errors import DocumentError, EmptyDocument
from rag.parsed import Parsed
from rag.records import State
from rag.settings import Settings

# of a document of more characters neither chunks nor vectors are held in memory
LONG_TEXT = 400_000
# how far a document is that waits for its vectors
PARSED = 0.3
# what is there of a long document is written anew at the last of its attempts
_DISTRUSTED = MAX_ATTEMPTS - 1


class Stopped(Exception):  # no error: what was in hand goes back
    """Told to stop."""


class Drafter:
    """Makes drafts for one library, in any number of threads."""

    def __init__(
        self, settings: Settings, catalog: Catalog, embedder: Embedder, recipe: str
    ) -> None:
        self._catalog = catalog
        self._embedder = embedder
        self._recipe = recipe
        self._closing = False
        self._reader = Reader(settings, catalog)
        self._chunker = Chunker(
            self._offsets,
            tokens=settings.chunk_tokens,
            overlap=settings.chunk_overlap,
            limit=embedder.limit,
        )
        # one document at a time is written in portions
        self._portions = threading.Lock()
        # what is parsed and not yet said to be
        self._parsed: list[Task] = []
        self._telling = threading.Lock()

    def draft(self, task: Task, key: str) -> Draft | None:
        """The draft of a document whose content is named `key`; None where it failed or is gone."""
        if task.attempts < _DISTRUSTED and (there := begun(self._catalog, key)):  # before a stop
            self.tell((task, "embedding", PARSED))
            return LongDraft.of(task, key, there, self._catalog)
        # a death from here on is put down to this document
        self.tell((task, "parsing", STARTED))
        try:
            parsed = self._reader.read(task)
            parsed = dataclasses.replace(parsed, language=language_of(parsed, task.kind))
            draft = self._written(task, key, parsed) or self._short(task, key, parsed)
        except Gone:
            return None
        except DocumentError as error:
            if not self._closing:
                fail(self._catalog, task, self._recipe, error.code, str(error))
            return None
        with self._telling:
            self._parsed.append(task)
        return draft

    def tell(self, *steps: tuple[Task, State, float]) -> None:
        """Report these steps, and of what was parsed that it waits for its vectors.

        That of many documents goes with what is said of the next one, for a commit of its own would
        take longer than a small document. It must be said soon: a death is put down to whatever is
        still said to be parsed.
        """
        with self._telling:
            parsed, self._parsed = self._parsed, []
        try:
            report(self._catalog, [*((task, "embedding", PARSED) for task in parsed), *steps])
        except Exception:
            with self._telling:
                self._parsed += parsed
            raise

    def stored(self, idle: bool) -> set[str]:
        """As `Reader.stored`."""
        return self._reader.stored(idle)

    def close(self) -> None:
        """Stop what is being read or chunked."""
        self._closing = True
        self._reader.close()

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        if self._closing:
            raise Stopped
        return self._embedder.offsets(text)

    def _short(self, task: Task, key: str, parsed: Parsed) -> Draft:
        chunks = tuple(self._chunker.chunks(parsed, key))
        if not chunks and not parsed.members:
            raise EmptyDocument(f"“{task.source}” holds no text that could be searched.")
        return ShortDraft.of(task, key, parsed, chunks)

    def _written(self, task: Task, key: str, parsed: Parsed) -> Draft | None:
        """A long document's draft, in the catalog by now; None where that is not its way."""
        if sum(len(page.text) for page in parsed.pages) <= LONG_TEXT:
            return None
        with self._portions:
            # another document of the same bytes may have been here
            there = Begun(0, 0) if indexed(self._catalog, [key]) else begun(self._catalog, key)
            if there is None or task.attempts >= _DISTRUSTED:
                if is_answering(self._catalog, key):
                    return None  # until it is read again, whole, its rows stay as they are
                head = Content(key, task, self._recipe, parsed, (), np.zeros((0, 0), np.float32))
                there = Begun(begin(self._catalog, head, self._chunker.each(parsed, key)), 0)
                if not there.count:
                    return None
            return LongDraft.of(task, key, there, self._catalog)
