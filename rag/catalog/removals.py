"""What was removed and may still lie in the files: noted with each removal, until it is erased."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from rag.catalog import Catalog, put_fact, queue_time
from rag.catalog.schema import documents, facts, folders
from rag.errors import NotFound

_COUNT, _SINCE = "removals.count", "removals.since"


@dataclass(frozen=True, slots=True)
class Removals:
    """How often something was removed, and since when (seconds) some of it is not erased."""

    count: int
    since: float | None


def note_removal(connection: Connection) -> None:
    """Called in the transaction that takes text out of the library."""
    known = _read(connection)
    put_fact(connection, _COUNT, str(known.count + 1))
    if known.since is None:
        put_fact(connection, _SINCE, str(queue_time()))


def removals(catalog: Catalog) -> Removals:
    """What was removed so far."""
    with catalog.read() as connection:
        return _read(connection)


def note_erased(catalog: Catalog, count: int) -> None:
    """Everything up to removal number `count` is nowhere in the files any more."""
    with catalog.write() as connection:
        if _read(connection).count == count:
            put_fact(connection, _SINCE, None)
        else:
            put_fact(connection, _SINCE, str(queue_time()))


def restore(catalog: Catalog, document_id: str) -> None:
    """Forget that a synced document was removed: the next sync takes its file in as a new one.

    Raises NotFound where no such document was removed.
    """
    with catalog.write() as connection:
        forgotten = connection.execute(
            delete(documents).where(documents.c.id == document_id, documents.c.state == "removed")
        )
        if not forgotten.rowcount:
            raise NotFound(f"No document {document_id[:80]} was removed from a synced folder.")


def removed_documents(catalog: Catalog) -> list[tuple[str, str, str]]:
    """Synced documents that were removed and whose files are still there: id, source, folder."""
    with catalog.read() as connection:
        rows = connection.execute(
            select(documents.c.id, documents.c.source, folders.c.path)
            .join(folders, folders.c.id == documents.c.folder_id)
            .where(documents.c.state == "removed")
            .order_by(folders.c.path, documents.c.source)
        )
        return [(row.id, row.source, row.path) for row in rows]


def _read(connection: Connection) -> Removals:
    rows = connection.execute(select(facts).where(facts.c.name.in_((_COUNT, _SINCE))))
    found = {row.name: row.value for row in rows}
    since = found.get(_SINCE)
    return Removals(int(found.get(_COUNT, "0")), float(since) if since else None)
