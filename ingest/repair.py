"""Mends what a check found: from the catalog, and nothing is embedded again for it.

What the catalog itself lost is read again from the originals; an original that is lost can only
come from the synced folder that it is a copy of, or from the archive or mail that it was in.
"""

from __future__ import annotations

from pathlib import Path

from ingest.check import InHand, Survey
from rag.catalog import Catalog, audit
from rag.catalog.stored import note_stored, wanted_hashes
from rag.files import delete, hash_of
from rag.library import Library
from rag.originals import store_original, strays, sweep_originals
from rag.settings import Settings


def repair(library: Library, found: Survey, in_hand: InHand = set, unknown: bool = False) -> None:
    """Mend everything that can be mended; what is left the next survey tells.

    `in_hand` is as for the survey; stored files `unknown` to the catalog are deleted if so told.

    Documents that must be read again are queued; what is there answers until then.
    """
    settings, catalog, indexes = library.settings, library.catalog, library.indexes
    # before the originals: one of these may lie in the place of one
    for path in strays(settings, in_hand() | wanted_hashes(catalog)):
        delete(path)
    lost = [*found.missing_originals, *found.altered_originals]
    still_lost = {name for name in lost if not _restore_original(settings, catalog, name)}
    around = {name: audit.containers_of(catalog, name, still_lost) for name in still_lost}
    audit.mark_lost_originals(catalog, [name for name in still_lost if not around[name]])
    # before the index: its vectors may be what restores a row, and rows are what restores it
    beyond = [
        key
        for key in found.altered
        if not audit.restore_content(catalog, key, indexes.vectors.vectors_of)
    ]
    unanswered = audit.reconnect(catalog, found.unanswered)
    vectors, words = indexes.compare()
    indexes.mend(vectors, words)
    audit.read_again(catalog, {*beyond, *(key for keys in around.values() for key in keys)})
    audit.queue_again(catalog, unanswered)
    indexes.sweep()
    if unknown:
        note_stored(catalog, [path.name for path in found.unknown])
    sweep_originals(settings, catalog, in_hand)


def _restore_original(settings: Settings, catalog: Catalog, bytes_hash: str) -> bool:
    """Take the bytes from a synced folder, where a file still has them."""
    for folder, source in audit.synced_copies(catalog, bytes_hash):
        path = Path(folder) / source
        try:
            if not path.resolve().is_relative_to(folder) or hash_of(path) != bytes_hash:
                continue
            with path.open("rb") as stream:
                if store_original(settings, catalog, stream, source)[0] == bytes_hash:
                    return True
        except OSError:
            continue
    return False
