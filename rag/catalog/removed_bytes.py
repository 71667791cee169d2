"""The SHA-256 of what a person removed from a collection, so that it stays out.

It outlives the row of the document, which goes with its file: the same bytes may come again under
another name, over another file, in another folder or archive, or after a time. What was added by
itself is none of it: adding it is what brings it back.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, exists, select
from sqlalchemy.dialects.sqlite import insert

from rag.catalog import now
from rag.catalog.batching import batched
from rag.catalog.schema import documents, removed_bytes


def keep_out(connection: Connection, collection: int, bytes_hash: str) -> None:
    """Note that a person removed a document of these bytes from a collection."""
    values = {"collection_id": collection, "bytes_hash": bytes_hash, "removed_at": now()}
    connection.execute(insert(removed_bytes).values(values).on_conflict_do_nothing())


def let_in(connection: Connection, collection: int, bytes_hash: str) -> None:
    """Forget that: a person restored it, or added the same bytes on purpose."""
    connection.execute(
        delete(removed_bytes).where(
            removed_bytes.c.collection_id == collection, removed_bytes.c.bytes_hash == bytes_hash
        )
    )


def kept_out(connection: Connection, collection: int, hashes: Iterable[str]) -> set[str]:
    """Those of these bytes that a person removed, and that no document there has nevertheless.

    Of several copies each may be removed or kept.
    """
    has_some = exists().where(
        documents.c.collection_id == collection,
        documents.c.bytes_hash == removed_bytes.c.bytes_hash,
        documents.c.state != "removed",
    )
    out = select(removed_bytes.c.bytes_hash).where(
        removed_bytes.c.collection_id == collection, ~has_some
    )
    found: set[str] = set()
    for some in batched(hashes):
        found.update(connection.execute(out.where(removed_bytes.c.bytes_hash.in_(some))).scalars())
    return found
