"""Which originals this catalog had stored, needed or not.

What it does not know it does not delete: where a catalog was put back from a backup, those may be
the only copies of what came since.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import CompoundSelect, delete, select
from sqlalchemy.dialects.sqlite import insert

from rag.catalog import Catalog
from rag.catalog.batching import batched
from rag.catalog.schema import contents, documents, members, originals


def note_stored(catalog: Catalog, hashes: Collection[str]) -> None:
    """Say of originals, by their SHA-256, that they are about to be stored."""
    if hashes:
        rows = [{"bytes_hash": bytes_hash} for bytes_hash in hashes]
        with catalog.write(lasting=False) as connection:
            connection.execute(insert(originals).on_conflict_do_nothing(), rows)


def stored_hashes(catalog: Catalog) -> set[str]:
    """The SHA-256 of every original that was stored and not let go since."""
    with catalog.read() as connection:
        return set(connection.execute(select(originals.c.bytes_hash)).scalars())


def unneeded_hashes(catalog: Catalog) -> set[str]:
    """The SHA-256 of those of them that no document and no content needs any more."""
    with catalog.read() as connection:
        unneeded = select(originals.c.bytes_hash).where(originals.c.bytes_hash.not_in(_wanted()))
        return set(connection.execute(unneeded).scalars())


def wanted_hashes(catalog: Catalog) -> set[str]:
    """The SHA-256 of every original that a document or a content still needs."""
    with catalog.read() as connection:
        return set(connection.execute(_wanted()).scalars())


def forget_stored(catalog: Catalog, hashes: Collection[str]) -> None:
    """Say of originals that they are not there any more."""
    if hashes:
        with catalog.write(lasting=False) as connection:
            for some in batched(hashes):
                connection.execute(delete(originals).where(originals.c.bytes_hash.in_(some)))


def _wanted() -> CompoundSelect[Any]:
    waiting = select(documents.c.bytes_hash).where(documents.c.state != "removed")
    return waiting.union(select(contents.c.bytes_hash), select(members.c.bytes_hash))
