"""Erases what was removed from every file: the erasing rebuild.

A removed document answers nothing from the next question on, and its rows go at the next sweep.
Its words and vectors stay in the indexes' files, and copies of its rows may stay between others
in the catalog's. So both indexes are built anew beside the old ones, and the catalog is too.
"""

from __future__ import annotations

import logging
import time

from ingest.pipeline import Pipeline
from rag.catalog import Catalog
from rag.catalog.removals import note_erased, removals
from rag.comparison import Tell
from rag.errors import Busy
from rag.library import Library
from rag.settings import Settings

log = logging.getLogger("cloister.ingest")


def is_due(settings: Settings, catalog: Catalog) -> bool:
    """Whether something was removed `erase.after_seconds` ago or earlier and is not erased.

    A removal that is still to come was noted by a clock that was ahead.
    """
    since = removals(catalog).since
    return since is not None and not 0 <= time.time() - since < settings.erase_after_seconds


def erase(library: Library, pipeline: Pipeline, tell: Tell | None = None) -> None:
    """Build catalog and indexes anew from what is in the library; questions go on meanwhile.

    Raises Busy where another process is in the way, StorageError on a full disk. Killed anywhere
    it is done again.
    """
    began = time.monotonic()
    catalog = library.catalog
    count = removals(catalog).count
    if not pipeline.sweep():
        raise Busy("Files are being registered just now; what was removed is erased later.")
    library.indexes.renew(tell)
    catalog.compact()
    if not catalog.truncate_log():
        raise Busy("Another process reads the catalog; what was removed is erased later.")
    note_erased(catalog, count)
    log.info("erased what was removed, in %.1f s", time.monotonic() - began)
