"""Waits until what was registered is read: by the running server, or by this process."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from ingest.worker import Worker
from rag.catalog import Catalog
from rag.catalog.folders import unfinished
from rag.errors import Busy
from rag.library import Library
from rag.lock import find_holder, in_use, take_library_lock
from rag.settings import Settings

POLL_SECONDS = 0.3

# told how many documents are still to be read
Watch = Callable[[int], None]


def finish(
    settings: Settings,
    catalog: Catalog,
    what: str,
    watch: Watch,
    wait: bool,
    folder: int | None = None,
) -> None:
    """See to it that the queue is read, or a synced folder's documents in it.

    With a server, its worker does the work: this returns at once, or with `wait` when that is
    done. Without one, this process takes the lock and does the work. Raises Busy where another
    command has the library; what was registered is read by the next one that comes.
    """
    while True:
        holder = find_holder(settings)
        if holder is None:
            try:
                _work(settings, catalog, what, watch, folder)
            except Busy:
                if find_holder(settings) is None:
                    raise
                continue  # a server started in this very moment: follow it
            return
        if not holder.address:
            advice = "What was found is registered and will be read; run this again to wait for it."
            raise in_use(holder, advice=advice)
        if not wait or _followed(settings, catalog, watch, folder):
            return


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let SIGTERM end what is under way as Ctrl-C does: what was begun is put back first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> NoReturn:
        if callable(before):  # a command that is meant to be told to stop
            before(number, frame)
            raise SystemExit(0)
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _work(
    settings: Settings, catalog: Catalog, what: str, watch: Watch, folder: int | None
) -> None:
    with ended_in_order(), take_library_lock(settings, what):
        library = Library(settings)
        try:
            library.load(llm=False)
            Worker(library).drain(lambda: watch(unfinished(catalog, folder)), folder)
        finally:
            library.close()


def _followed(settings: Settings, catalog: Catalog, watch: Watch, folder: int | None) -> bool:
    """Whether the queue was emptied while a server held the library."""
    while left := unfinished(catalog, folder):
        watch(left)
        time.sleep(POLL_SECONDS)
        if find_holder(settings) is None:
            return False
    return True
