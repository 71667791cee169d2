"""The ingest worker: takes documents from the catalog's queue until there are none.

It runs in the process that holds the library's lock: as a thread of the server, or within a
command while no server is up. The lock is its lease: what it had begun when it was killed is
taken up again by the next one. Between two batches it does the job that a command asks for; when
idle it erases what was removed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ingest.check import Steps
from ingest.erasing import erase, is_due
from ingest.jobs import perform, run_job
from ingest.pipeline import RECIPE_FACT, Pipeline
from rag.catalog.documents import claim, recover
from rag.catalog.jobs import Job, start_again
from rag.catalog.removals import removals
from rag.errors import Busy, CloisterError, StorageError
from rag.library import Library

log = logging.getLogger("cloister.ingest")

# how often the queue is looked at when nobody calls; another process may have added to it
POLL_SECONDS = 0.5
# a batch is small enough that a document is searchable soon, large enough to share its commits
BATCH_DOCUMENTS = 16
BATCH_BYTES = 4_000_000
RETRY_SECONDS = 15.0
# an erasing rebuild that failed is not tried again before this
ERASE_RETRY_SECONDS = 900.0


class Worker:
    """Reads the queue of one loaded library."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._called = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._swept: int | None = None
        self._erase_not_before = 0.0

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
            self._sweep(pipeline)
            self._erase(pipeline)
        finally:
            pipeline.close()

    def do(self, job: Job, steps: Steps) -> Mapping[str, Any]:
        """Do a job in this thread, then what is in the queue; returns the job's result."""
        pipeline = self._pipeline()
        try:
            result = perform(self._library, pipeline, job, steps)
            while self._batch(pipeline):
                pass
            self._sweep(pipeline)
            return result
        finally:
            pipeline.close()

    def _pipeline(self) -> Pipeline:
        library = self._library
        pipeline = Pipeline(library.settings, library.catalog, library.embedder, library.indexes)
        if library.catalog.fact(RECIPE_FACT) != pipeline.recipe:
            library.catalog.note(RECIPE_FACT, pipeline.recipe)
        recover(library.catalog, pipeline.recipe)
        start_again(library.catalog)
        return pipeline

    def _serve(self) -> None:
        pipeline = self._pipeline()
        try:
            while not self._stopping.is_set():
                self._called.clear()
                try:
                    while self._batch(pipeline):
                        self._do_job(pipeline)
                    self._do_job(pipeline)
                    self._sweep(pipeline)
                    self._erase(pipeline)
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
            self._swept = None
            pipeline.run(tasks, self._stopping.is_set)
        return bool(tasks)

    def _sweep(self, pipeline: Pipeline) -> None:
        """Delete what answers for nothing, if anything may have come to that."""
        count = removals(self._library.catalog).count
        if count != self._swept and pipeline.sweep():
            self._swept = count

    def _do_job(self, pipeline: Pipeline) -> None:
        if not self._stopping.is_set():
            run_job(self._library, pipeline, self._stop_if_told)

    def _erase(self, pipeline: Pipeline) -> None:
        library = self._library
        if self._stopping.is_set() or time.monotonic() < self._erase_not_before:
            return
        if is_due(library.settings, library.catalog):
            self._erase_not_before = time.monotonic() + ERASE_RETRY_SECONDS
            try:
                erase(library, pipeline, lambda _: self._stop_if_told())
            except Busy as error:  # it stays due
                log.info("%s", error)
                return
            self._erase_not_before = 0.0

    def _stop_if_told(self) -> None:
        if self._stopping.is_set():
            raise Busy("The library is being closed; try again.")
