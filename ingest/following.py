"""Waits until what was registered is read: by the running server, or by this process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import NoReturn

from ingest.patience import Patience
from ingest.worker import Worker
from rag.catalog import Catalog
from rag.catalog.folders import unfinished
from rag.errors import Busy
from rag.library import Library
from rag.lock import find_holder, in_use, take_library_lock
from rag.settings import Settings

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
    command has the library; what was registered is read by the next one that comes. Raises
    StorageError where this process finds the disk full, and as `Patience.wait` does.
    """
    while True:
        holder = find_holder(settings)
        if holder is None:
            with ended_in_order(), try_library_lock(settings, what) as taken:
                if taken:
                    _work(settings, catalog, watch, folder)
                    return
            continue  # if a server started in this very moment: follow it
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


@contextmanager
def try_library_lock(settings: Settings, what: str) -> Iterator[bool]:
    """True with the library's lock; False where another process has it now."""
    with ExitStack() as held:
        try:
            held.enter_context(take_library_lock(settings, what))
            taken = True
        except Busy:
            taken = False
        yield taken


def _work(settings: Settings, catalog: Catalog, watch: Watch, folder: int | None) -> None:
    library = Library(settings)
    try:
        library.load(llm=False)
        Worker(library).drain(lambda: watch(unfinished(catalog, folder)), folder)
    finally:
        library.close()


def _followed(settings: Settings, catalog: Catalog, watch: Watch, folder: int | None) -> bool:
    """Whether the queue was emptied while a server held the library."""
    patience = Patience(settings)
    while left := unfinished(catalog, folder):
        watch(left)
        patience.wait(left)
        if find_holder(settings) is None:
            return False
    return True
