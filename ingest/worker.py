"""The ingest worker: takes documents from the catalog's queue until there are none.

It runs in the process that holds the library's lock: as a thread of the server, or within a
command while no server is up. The lock is its lease: what it had begun when it was killed is
taken up again by the next one. Between two slices it does the job that a command asks for; when
idle it erases what was removed. No error ends its thread: it pauses and goes on. Where documents
cannot be read, nothing else waits for that: on a disk too full for new ones, removed ones leave.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ingest.check import Steps
from ingest.conversion import LEGACY_KINDS, find_converter
from ingest.erasing import erase, is_due
from ingest.jobs import perform, run_job
from ingest.pipeline import Pipeline
from ingest.recipe import RECIPE_FACT
from rag.catalog.attempts import queue_unconverted, recover
from rag.catalog.folders import has_unfinished
from rag.catalog.index_rows import count_chunks
from rag.catalog.jobs import Job, start_again
from rag.catalog.removals import removals
from rag.errors import DISK_ERRORS, Busy, CloisterError, StorageError, storage_error
from rag.library import Library

log = logging.getLogger("cloister.ingest")

# how often the queue is looked at when nobody calls; another process may have added to it
POLL_SECONDS = 0.5
RETRY_SECONDS = 15.0
# an erasing rebuild that failed is not tried again before this
ERASE_RETRY_SECONDS = 900.0
# a command looks up all chunks before it ends where there are not more: some seconds. Else the
# server does, when idle
SETTLED_AT_ONCE = 10_000


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
        """End within a second or two; what was claimed and not finished goes back."""
        self._stopping.set()
        self._called.set()
        if self._thread:
            self._thread.join()

    def drain(self, progress: Callable[[], None] | None = None, folder: int | None = None) -> None:
        """Work in this thread until the queue is empty, or the documents of a folder are read.

        Raises StorageError where the disk is full even after what was removed has left it.
        Interrupted, it puts back what it had claimed.
        """

        def read(pipeline: Pipeline) -> None:
            while not self._is_read(folder) and self._round(pipeline):
                if progress:
                    progress()

        with self._working(folder) as pipeline:
            try:
                read(pipeline)
            except StorageError:
                self._sweep(pipeline)
                self._erase(pipeline)
                read(pipeline)
            self._sweep(pipeline)
            self._erase(pipeline)
            if count_chunks(self._library.catalog) <= SETTLED_AT_ONCE:
                self._settle(pipeline)

    def do(self, job: Job, steps: Steps) -> Mapping[str, Any]:
        """Do a job in this thread, then what is in the queue; returns the job's result.

        Where the disk is too full to read what is in the queue, that waits, and the log says so.
        """
        with self._working() as pipeline:
            result = perform(self._library, pipeline, job, steps)
            try:
                while self._round(pipeline):
                    pass
            except StorageError as error:
                log.warning("what waits to be read still waits: %s", error)
            self._sweep(pipeline)
            self._settle(pipeline)
            return result

    @contextmanager
    def _working(self, folder: int | None = None) -> Iterator[Pipeline]:
        library = self._library
        pipeline = Pipeline(
            library.settings, library.catalog, library.embedder, library.indexes, folder
        )
        try:
            if library.catalog.fact(RECIPE_FACT) != pipeline.recipe:
                library.catalog.note(RECIPE_FACT, pipeline.recipe)
            recover(library.catalog, pipeline.recipe)
            if find_converter(library.settings):
                queue_unconverted(library.catalog, LEGACY_KINDS)
            start_again(library.catalog)
            yield pipeline
        finally:
            pipeline.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._working() as pipeline:
                    while not self._stopping.is_set():
                        self._called.clear()
                        self._wait(self._turn(pipeline))
            except Exception as error:  # noqa: BLE001  # a thread's boundary: it goes on
                self._called.clear()
                self._wait(self._pause_after(error))

    def _wait(self, seconds: float) -> None:
        if not self._stopping.is_set():
            self._called.wait(seconds)

    def _turn(self, pipeline: Pipeline) -> float:
        """Do what there is to do; returns the seconds to wait for more."""
        errors: dict[str, Exception] = {}  # a full disk fails each, and is told once
        for work in (self._read, self._do_job, self._sweep, self._erase, self._settle):
            try:
                work(pipeline)
            except Exception as error:  # noqa: BLE001  # a thread's boundary: it goes on
                errors.setdefault(str(error), error)
        if errors:
            # of several, the first is what is told in the end
            return max([self._pause_after(error) for error in reversed(errors.values())])
        self._library.tell("ingest", "ready")
        return POLL_SECONDS

    def _read(self, pipeline: Pipeline) -> None:
        while self._round(pipeline):
            self._library.tell("ingest", "ready")  # also while there is more to read
            self._do_job(pipeline)

    def _pause_after(self, error: Exception) -> float:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            error = storage_error(error)
        if isinstance(error, CloisterError):
            log.warning("ingest pauses: %s", error)
            if isinstance(error, Busy):
                return POLL_SECONDS
            self._library.tell("ingest", str(error))
            return RETRY_SECONDS
        log.error("ingest failed unexpectedly and is tried again", exc_info=error)
        reason = f"failed unexpectedly ({type(error).__name__}) and is tried again; see the log"
        self._library.tell("ingest", reason)
        return RETRY_SECONDS

    def _round(self, pipeline: Pipeline) -> bool:
        if self._stopping.is_set():
            return False
        worked = pipeline.run(self._stopping.is_set)
        if worked:
            self._swept = None
        return worked

    def _is_read(self, folder: int | None) -> bool:
        return folder is not None and not has_unfinished(self._library.catalog, folder)

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

    def _settle(self, _pipeline: Pipeline) -> None:
        """See to it that every chunk is found; ends early where there is something else to do."""
        self._library.indexes.settle(lambda: self._stopping.is_set() or self._called.is_set())

    def _stop_if_told(self) -> None:
        if self._stopping.is_set():
            raise Busy("The library is being closed; try again.")
