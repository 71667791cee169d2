"""The ingest worker: takes documents from the catalog's queue until there are none.

It runs in the process that holds the library's lock: as a thread of the server, or within a
command while no server is up. The lock is its lease: what it had begun when it was killed is
taken up again by the next one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ingest.pipeline import Pipeline
from rag.catalog.documents import claim, recover
from rag.errors import CloisterError, StorageError
from rag.library import Library

log = logging.getLogger("cloister.ingest")

# how often the queue is looked at when nobody calls; another process may have added to it
POLL_SECONDS = 0.5
# a batch is small enough that a document is searchable soon, large enough to share its commits
BATCH_DOCUMENTS = 16
BATCH_BYTES = 4_000_000
RETRY_SECONDS = 15.0
# originals are younger than this while their document is being registered
REGISTER_SECONDS = 3600.0


class Worker:
    """Reads the queue of one loaded library."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._called = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Work in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._serve, name="ingest", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue now."""
        self._called.set()

    def stop(self) -> None:
        """End after the batch in hand; what was claimed and not finished goes back."""
        self._stopping.set()
        self._called.set()
        if self._thread:
            self._thread.join()

    def drain(self, progress: Callable[[], None] | None = None) -> None:
        """Work in this thread until the queue is empty. Raises StorageError on a full disk."""
        pipeline = self._pipeline()
        try:
            while self._batch(pipeline):
                if progress:
                    progress()
            pipeline.sweep(time.time() - REGISTER_SECONDS)
        finally:
            pipeline.close()

    def _pipeline(self) -> Pipeline:
        library = self._library
        pipeline = Pipeline(library.settings, library.catalog, library.embedder, library.indexes)
        recover(library.catalog, pipeline.recipe)
        return pipeline

    def _serve(self) -> None:
        pipeline = self._pipeline()
        try:
            while not self._stopping.is_set():
                self._called.clear()
                try:
                    while self._batch(pipeline):
                        pass
                    pipeline.sweep(time.time() - REGISTER_SECONDS)
                    pause = POLL_SECONDS
                except CloisterError as error:
                    log.warning("ingest pauses: %s", error)
                    pause = RETRY_SECONDS if isinstance(error, StorageError) else POLL_SECONDS
                self._called.wait(pause)
        finally:
            pipeline.close()

    def _batch(self, pipeline: Pipeline) -> bool:
        if self._stopping.is_set():
            return False
        tasks = claim(self._library.catalog, BATCH_DOCUMENTS, BATCH_BYTES)
        if tasks:
            pipeline.run(tasks, self._stopping.is_set)
        return bool(tasks)
