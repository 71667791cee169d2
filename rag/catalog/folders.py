"""Synced folders and the documents that come from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from rag.catalog import Catalog, now
from rag.catalog.collections import collection_id
from rag.catalog.documents import (
    UNFINISHED,
    forget_answers,
    fresh_state,
    new_document_id,
    requeue,
)
from rag.catalog.removals import note_removal
from rag.catalog.schema import documents, folders


@dataclass(frozen=True, slots=True)
class Known:
    """A document of a synced folder as the catalog has it."""

    document_id: str
    source: str
    kind: str
    bytes_hash: str
    stat_key: str
    state: str
    error: str | None


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A file of a synced folder as it was read: `document_id` None where it is new."""

    document_id: str | None
    source: str
    kind: str
    bytes_hash: str
    size: int
    stat_key: str
    same_bytes: bool = False


def folder_key(catalog: Catalog, path: str, collection: str) -> int:
    """The id of a synced folder in a collection, noted if new. Raises UnknownCollection."""
    with catalog.write() as connection:
        key = collection_id(connection, collection)
        connection.execute(
            insert(folders).values(collection_id=key, path=path).on_conflict_do_nothing()
        )
        found = connection.execute(
            select(folders.c.id).where(folders.c.collection_id == key, folders.c.path == path)
        ).scalar_one()
        return int(found)


def known_files(catalog: Catalog, folder: int) -> dict[str, Known]:
    """The folder's documents by source, removed ones included."""
    columns = (
        documents.c.id,
        documents.c.source,
        documents.c.kind,
        documents.c.bytes_hash,
        documents.c.stat_key,
        documents.c.state,
        documents.c.error,
    )
    with catalog.read() as connection:
        rows = connection.execute(select(*columns).where(documents.c.folder_id == folder))
        return {row.source: Known(*row) for row in rows}


def put_files(catalog: Catalog, folder: int, collection: str, files: Sequence[FileVersion]) -> None:
    """Register new, changed and moved files, all in one transaction.

    A file with the bytes and kind that its document has keeps what answers for it. One with those
    of another live document is live at once by the same content, so that a file which moves over
    another one answers throughout. Any other is queued, and what answered for it goes on until the
    new is live.
    """
    with catalog.write() as connection:
        key = collection_id(connection, collection)
        for file in files:
            values = {
                "source": file.source,
                "kind": file.kind,
                "bytes_hash": file.bytes_hash,
                "size": file.size,
                "stat_key": file.stat_key,
            }
            if file.document_id is None:
                name = new_document_id()
                row = fresh_state() | values | _twin(connection, file)
                connection.execute(
                    documents.insert().values(id=name, collection_id=key, folder_id=folder, **row)
                )
                continue
            connection.execute(
                update(documents)
                .where(documents.c.id == file.document_id)
                .values(updated_at=now(), **values)
            )
            if not file.same_bytes:
                note_removal(connection)
                requeue(connection, [file.document_id])
                if twin := _twin(connection, file):
                    forget_answers(connection, [file.document_id])
                    connection.execute(
                        update(documents).where(documents.c.id == file.document_id).values(twin)
                    )


def _twin(connection: Connection, file: FileVersion) -> dict[str, Any]:
    """The columns of a live document with the same bytes and kind; none where there is none."""
    found = connection.execute(
        select(documents.c.content_key, documents.c.recipe)
        .where(
            documents.c.bytes_hash == file.bytes_hash,
            documents.c.kind == file.kind,
            documents.c.state == "live",
            documents.c.id.is_distinct_from(file.document_id),
        )
        .limit(1)
    ).first()
    if found is None:
        return {}
    live = {"state": "live", "progress": 1.0}
    return live | {"content_key": found.content_key, "recipe": found.recipe}


def touch_files(catalog: Catalog, keys: Iterable[tuple[str, str]]) -> None:
    """Note the new stat keys of documents whose bytes did not change: (id, stat key) pairs."""
    with catalog.write() as connection:
        for document_id, stat_key in keys:
            connection.execute(
                update(documents).where(documents.c.id == document_id).values(stat_key=stat_key)
            )


def drop_files(catalog: Catalog, document_ids: Sequence[str]) -> None:
    """Take documents whose files vanished out of the library, without a trace."""
    if not document_ids:
        return
    with catalog.write() as connection:
        forget_answers(connection, document_ids)
        note_removal(connection)
        for name in document_ids:
            connection.execute(delete(documents).where(documents.c.id == name))


def retry_files(catalog: Catalog, folder: int) -> int:
    """Queue the folder's failed documents again; returns how many."""
    with catalog.write() as connection:
        failed = list(
            connection.execute(
                select(documents.c.id).where(
                    documents.c.folder_id == folder, documents.c.state == "failed"
                )
            ).scalars()
        )
        requeue(connection, failed)
    return len(failed)


def unfinished(catalog: Catalog, folder: int | None = None) -> int:
    """How many documents (of one folder) wait to be read or are being read."""
    with catalog.read() as connection:
        statement = select(documents.c.id).where(documents.c.state.in_(UNFINISHED))
        if folder is not None:
            statement = statement.where(documents.c.folder_id == folder)
        return len(connection.execute(statement).all())
