"""Documents that a person removed and that can be had back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select

from rag.catalog import Catalog
from rag.catalog.queue import requeue
from rag.catalog.removed_bytes import let_in
from rag.catalog.schema import documents, folders
from rag.errors import NotFound


@dataclass(frozen=True, slots=True)
class Removed:
    """A removed document that can be restored; `folder` is None where it came in an upload."""

    document_id: str
    source: str
    folder: str | None


def restore(catalog: Catalog, document_id: str) -> bool:
    """Take back that a document was removed; returns whether it waits to be read now.

    That is what a file within a file does, for its bytes are kept with those of the file that it is
    in. Of a synced file nothing is kept: the next sync takes it in as a new one. Raises NotFound
    where no such document was removed.
    """
    this = documents.c.id == document_id
    with catalog.write() as connection:
        row = connection.execute(
            select(documents).where(this, documents.c.state == "removed")
        ).first()
        if row is None:
            raise NotFound(
                f"No removed document {document_id[:80]} is there to restore; `cloister ingest "
                "restore` lists them. A file that was added by itself must be added again."
            )
        let_in(connection, row.collection_id, row.bytes_hash)
        if row.parent_id is None:
            connection.execute(delete(documents).where(this))
        else:
            requeue(connection, [document_id])
        return row.parent_id is not None


def removed_documents(catalog: Catalog) -> list[Removed]:
    """Removed documents whose files, or the files that they are in, are still there."""
    with catalog.read() as connection:
        rows = connection.execute(
            select(documents.c.id, documents.c.source, folders.c.path)
            .outerjoin(folders, folders.c.id == documents.c.folder_id)
            .where(documents.c.state == "removed")
            .order_by(folders.c.path, documents.c.source)
        )
        return [Removed(*row) for row in rows]
