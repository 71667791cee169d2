"""From claimed documents to live ones: parse, chunk, embed, index, publish.

The order of commits, for a batch of documents:

1. contents, pages and chunks with their vectors into the catalog (nothing answers from them yet),
2. words and vectors into the indexes, each chunk read back by its own vector,
3. one catalog transaction lets the new contents answer and drops the old ones,
4. what answers for nothing any more leaves the indexes, then the catalog (`sweep`).

Killed between any two, the next start finds the library as before or as after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ingest.chunking import CHUNKER_VERSION, Chunker
from ingest.formats import kind_of
from ingest.parsers import PARSER_VERSION
from ingest.sandbox import Sandbox
from rag.catalog import Catalog
from rag.catalog.contents import (
    Content,
    IndexRow,
    chunk_ids,
    content_key,
    dead_contents,
    delete_contents,
    is_indexed,
    publish,
    put_contents,
    wanted_hashes,
)
from rag.catalog.documents import Task, fail, release, report
from rag.embedding import Embedder
from rag.errors import CorruptDocument, DocumentError, EmptyDocument, StorageError
from rag.indexes import Indexes
from rag.originals import check_free_space, original_path, storage_error, sweep_originals
from rag.records import Chunk, Parsed
from rag.settings import Settings

# the catalog notes here by which recipe its worker reads
RECIPE_FACT = "recipe"


@dataclass(frozen=True, slots=True)
class Draft:
    """A parsed and chunked document that waits for its vectors."""

    task: Task
    key: str
    parsed: Parsed
    chunks: tuple[Chunk, ...]


class Pipeline:
    """Reads documents into one library. One thread runs it."""

    def __init__(
        self, settings: Settings, catalog: Catalog, embedder: Embedder, indexes: Indexes
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._embedder = embedder
        self._indexes = indexes
        self._chunker = Chunker(
            embedder.offsets, tokens=settings.chunk_tokens, overlap=settings.chunk_overlap
        )
        self._sandbox = Sandbox(
            processes=settings.ingest_parsers,
            seconds=settings.ingest_parse_seconds,
            memory_mb=settings.ingest_parse_memory_mb,
            max_text_chars=settings.ingest_max_chars,
            ocr_pages=settings.ingest_ocr_pages if settings.ingest_ocr == "auto" else 0,
        )
        self._readers = ThreadPoolExecutor(settings.ingest_parsers, "parse")
        self.recipe = recipe(settings, embedder.fingerprint)

    def run(self, tasks: Sequence[Task], stopping: Callable[[], bool]) -> None:
        """Read claimed documents; each ends live, failed or, when stopping, back in the queue.

        Raises StorageError when the disk is full; then nothing was changed and all are queued.
        """
        try:
            check_free_space(self._settings)
            drafts = [draft for draft in self._readers.map(self._draft, tasks) if draft]
            if stopping():
                release(self._catalog, tasks)
                return
            self._embed(drafts)
        except OSError as error:
            release(self._catalog, tasks)
            raise storage_error(error) from error
        except StorageError:
            release(self._catalog, tasks)
            raise

    def sweep(self) -> bool:
        """Erase contents that answer for nothing, and originals that nothing needs.

        False where originals had to stay for now, since some are being registered.
        """
        dead = dead_contents(self._catalog)
        if dead:
            self._indexes.delete(chunk_ids(self._catalog, dead))
            delete_contents(self._catalog, dead)
            self._catalog.truncate_log()
        return sweep_originals(self._settings, lambda: wanted_hashes(self._catalog))

    def close(self) -> None:
        """Stop the parsers."""
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._sandbox.close()

    def _draft(self, task: Task) -> Draft | None:
        """The document parsed and chunked; None where it failed or was published at once."""
        key = content_key(task.bytes_hash, task.kind, self.recipe)
        if is_indexed(self._catalog, key):
            publish(self._catalog, [(task, key)], self.recipe)
            return None
        try:
            parsed = self._parse(task)
            chunks = tuple(self._chunker.chunks(parsed, key))
            if not chunks:
                raise EmptyDocument(f"“{task.source}” holds no text that could be searched.")
        except DocumentError as error:
            fail(self._catalog, task, self.recipe, error.code, str(error))
            return None
        return Draft(task, key, parsed, chunks)

    def _parse(self, task: Task) -> Parsed:
        path = original_path(self._settings, task.bytes_hash)
        try:
            with path.open("rb") as file:
                head = file.read(4096)
        except FileNotFoundError as error:
            raise CorruptDocument(
                f"The stored copy of “{task.source}” is gone; add the file again."
            ) from error
        kind_of(task.source, head)
        return self._sandbox.parse(path, task.source, task.kind)

    def _embed(self, drafts: Sequence[Draft]) -> None:
        fresh = list({draft.key: draft for draft in drafts}.values())
        texts = [chunk.embedded_text for draft in fresh for chunk in draft.chunks]
        if not texts:
            return
        ids = [draft.task.document_id for draft in drafts]

        def progress(done: int) -> None:
            if done % (32 * self._settings.embedder_batch) < self._settings.embedder_batch:
                report(self._catalog, ids, "embedding", 0.3 + 0.6 * done / len(texts))

        report(self._catalog, ids, "embedding", 0.3)
        vectors = self._embedder.texts(texts, progress)
        contents, offset = [], 0
        for draft in fresh:
            end = offset + len(draft.chunks)
            contents.append(
                Content(
                    draft.key,
                    draft.task,
                    self.recipe,
                    draft.parsed,
                    draft.chunks,
                    vectors[offset:end],
                )
            )
            offset = end
        put_contents(self._catalog, contents)
        self._indexes.add([row for content in contents for row in _index_rows(content)])
        publish(self._catalog, [(draft.task, draft.key) for draft in drafts], self.recipe)


def recipe(settings: Settings, fingerprint: str) -> str:
    """What makes a content: parsers, chunker with its sizes, embedder (its fingerprint last).

    Parsers without OCR give other pages: turned on, it reads again what it was off for.
    """
    sizes = f"{settings.chunk_tokens}-{settings.chunk_overlap}"
    ocr = "" if settings.ingest_ocr == "auto" else "-no-ocr"
    return f"p{PARSER_VERSION}{ocr}.c{CHUNKER_VERSION}-{sizes}.{fingerprint}"


def _index_rows(content: Content) -> list[IndexRow]:
    return [
        IndexRow(chunk.id, chunk.text, chunk.context, vector)
        for chunk, vector in zip(content.chunks, content.vectors, strict=True)
    ]
