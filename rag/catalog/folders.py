"""Synced folders and the documents that come from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.sqlite import insert

from rag.catalog import Catalog
from rag.catalog.batching import batched
from rag.catalog.collections import collection_id
from rag.catalog.failures import try_again
from rag.catalog.family import Nesting
from rag.catalog.queue import UNFINISHED
from rag.catalog.schema import documents, folders
from rag.catalog.stale import unmark_stale
from rag.catalog.versions import FileVersion, drop_documents, put_versions

# documents that vanished, in one transaction
DROPPED_AT_ONCE = 2000


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
    error_code: str | None = None
    size: int = 0


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


def find_folder(catalog: Catalog, path: str, collection: str) -> int | None:
    """The id of a folder that was synced into a collection, else None. Raises UnknownCollection."""
    with catalog.read() as connection:
        key = collection_id(connection, collection)
        return connection.execute(
            select(folders.c.id).where(folders.c.collection_id == key, folders.c.path == path)
        ).scalar_one_or_none()


def known_mounts(catalog: Catalog, folder: int) -> frozenset[str]:
    """The paths below a synced folder at which something was mounted when it was synced last."""
    with catalog.read() as connection:
        found = select(folders.c.mounts).where(folders.c.id == folder)
        return frozenset(json.loads(connection.execute(found).scalar_one()))


def note_mounts(catalog: Catalog, folder: int, mounts: Iterable[str]) -> None:
    """Note the paths below a synced folder at which something is mounted."""
    with catalog.write() as connection:
        connection.execute(
            update(folders).where(folders.c.id == folder).values(mounts=json.dumps(sorted(mounts)))
        )


def known_files(catalog: Catalog, folder: int) -> dict[str, Known]:
    """The documents of the folder's files by source, removed ones included, without members."""
    columns = (
        documents.c.id,
        documents.c.source,
        documents.c.kind,
        documents.c.bytes_hash,
        documents.c.stat_key,
        documents.c.state,
        documents.c.error,
        documents.c.error_code,
        documents.c.size,
    )
    with catalog.read() as connection:
        rows = connection.execute(
            select(*columns).where(documents.c.folder_id == folder, documents.c.parent_id.is_(None))
        )
        return {row.source: Known(*row) for row in rows}


def put_files(
    catalog: Catalog,
    folder: int,
    collection: str,
    files: Sequence[FileVersion],
    nesting: Nesting | None = None,
) -> int:
    """Register new, changed and moved files, all in one transaction; returns as `put_versions`.

    A file that moves over another one answers throughout.
    """
    with catalog.write() as connection:
        owner = {
            "collection_id": collection_id(connection, collection),
            "folder_id": folder,
            "parent_id": None,
        }
        out = put_versions(connection, owner, files, nesting or Nesting())
        unmark_stale(connection, [file.document_id for file in files if file.document_id])
        return out


def touch_files(catalog: Catalog, keys: Iterable[tuple[str, str]]) -> None:
    """Note the new stat keys of documents whose bytes did not change: (id, stat key) pairs."""
    pairs = list(keys)
    with catalog.write() as connection:
        unmark_stale(connection, [document_id for document_id, _ in pairs])
        for document_id, stat_key in pairs:
            connection.execute(
                update(documents).where(documents.c.id == document_id).values(stat_key=stat_key)
            )


def drop_files(catalog: Catalog, document_ids: Sequence[str]) -> None:
    """Take documents whose files vanished out of the library, without a trace.

    Other writers come in between where they are many; an end half way the next sync goes on from.
    """
    for some in batched(document_ids, DROPPED_AT_ONCE):
        with catalog.write() as connection:
            drop_documents(connection, some)


def retry_files(catalog: Catalog, folder: int) -> int:
    """Queue what failed in the folder, and within its files, again; returns how many."""
    with catalog.write() as connection:
        return try_again(connection, documents.c.folder_id == folder)


def unfinished(catalog: Catalog, folder: int | None = None) -> int:
    """How many documents (of one folder) wait to be read or are being read."""
    with catalog.read() as connection:
        statement = select(func.count()).select_from(documents).where(_unfinished(folder))
        return connection.execute(statement).scalar_one()


def has_unfinished(catalog: Catalog, folder: int | None = None) -> bool:
    """Whether there are any: at a moment's notice, however many there are."""
    with catalog.read() as connection:
        statement = select(documents.c.id).where(_unfinished(folder)).limit(1)
        return connection.execute(statement).first() is not None


def _unfinished(folder: int | None) -> ColumnElement[bool]:
    waits = documents.c.state.in_(UNFINISHED)
    return waits if folder is None else waits & (documents.c.folder_id == folder)
