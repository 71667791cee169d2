"""Waits until what was registered is read: by the running server, or by this process."""

from __future__ import annotations

import time
from collections.abc import Callable

from ingest.worker import Worker
from rag.catalog import Catalog
from rag.catalog.folders import unfinished
from rag.errors import Busy
from rag.library import Library
from rag.lock import find_holder, take_library_lock
from rag.settings import Settings

POLL_SECONDS = 0.3

# told how many documents are still to be read
Watch = Callable[[int], None]


def finish(settings: Settings, catalog: Catalog, what: str, watch: Watch, wait: bool) -> None:
    """See to it that the queue is read.

    With a server, its worker does the work: this returns at once, or with `wait` when the queue
    is empty. Without one, this process takes the lock and does the work. Raises Busy where
    another command has the library; what was registered is read by the next one that comes.
    """
    while True:
        holder = find_holder(settings)
        if holder is None:
            try:
                _work(settings, catalog, what, watch)
            except Busy:
                if find_holder(settings) is None:
                    raise
                continue  # a server started in this very moment: follow it
            return
        if not holder.address:
            raise Busy(
                f"The library is in use by “{holder.what}” (process {holder.pid}). What was "
                "found is registered and will be read; run this again to wait for it."
            )
        if not wait or _followed(settings, catalog, watch):
            return


def _work(settings: Settings, catalog: Catalog, what: str, watch: Watch) -> None:
    with take_library_lock(settings, what):
        library = Library(settings)
        try:
            library.load(llm=False)
            Worker(library).drain(lambda: watch(unfinished(catalog)))
        finally:
            library.close()


def _followed(settings: Settings, catalog: Catalog, watch: Watch) -> bool:
    """Whether the queue was emptied while a server held the library."""
    while left := unfinished(catalog):
        watch(left)
        time.sleep(POLL_SECONDS)
        if find_holder(settings) is None:
            return False
    return True
