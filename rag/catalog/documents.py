"""Documents as the library lists them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    case,
    delete,
    func,
    select,
    tuple_,
    update,
)

from rag.catalog import Catalog, now, queue_time
from rag.catalog.answers import forget_answers
from rag.catalog.batching import batched
from rag.catalog.collections import collection_id, collection_ids
from rag.catalog.family import below
from rag.catalog.naming import named_with
from rag.catalog.queue import requeue
from rag.catalog.removals import note_removal
from rag.catalog.removed_bytes import keep_out, let_in
from rag.catalog.schema import collections, contents, documents, folders
from rag.errors import NotFound
from rag.records import Document

# a path's parts are sorted one by one: what is in “a.zip” comes before “a.zip.txt”
_FIRST = "\x01"
SOURCE_ORDER = func.replace(documents.c.source, "/", _FIRST)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was received whole: its name, kind, size in bytes and SHA-256."""

    name: str
    kind: str
    size: int
    bytes_hash: str


def add_upload(catalog: Catalog, upload: Upload, collection: str) -> tuple[str, bool]:
    """Register an upload; returns its document id and whether it is new.

    The same bytes of the same kind in the same collection give the id that is there; where that
    one had failed it is tried again. Raises UnknownCollection.
    """
    with catalog.write() as connection:
        collection_key = collection_id(connection, collection)
        let_in(connection, collection_key, upload.bytes_hash)
        same = connection.execute(
            select(documents.c.id, documents.c.state).where(
                documents.c.collection_id == collection_key,
                documents.c.folder_id.is_(None),
                documents.c.parent_id.is_(None),
                documents.c.bytes_hash == upload.bytes_hash,
                documents.c.kind == upload.kind,
            )
        ).first()
        if same is not None:
            if same.state == "failed":
                requeue(connection, [same.id])
            return same.id, False
        document_id = new_document_id()
        connection.execute(
            documents.insert().values(
                id=document_id,
                collection_id=collection_key,
                source=upload.name,
                kind=upload.kind,
                bytes_hash=upload.bytes_hash,
                size=upload.size,
                **fresh_state(),
            )
        )
        return document_id, True


def new_document_id() -> str:
    """A random, stable name for a document."""
    return f"doc_{secrets.token_hex(8)}"


def fresh_state() -> dict[str, Any]:
    """The columns of a document that was just registered."""
    return {
        "state": "pending",
        "created_at": now(),
        "updated_at": now(),
        "queued_at": queue_time(),
        "stat_key": "",
        "recipe": "",
        "attempts": 0,
        "progress": 0.0,
    }


def remove(catalog: Catalog, document_id: str) -> None:
    """Take a document and its members out: gone from the next answer on. Raises NotFound.

    A synced document or a member leaves a row with its name and hash but no text, which goes with
    the file, and the hash alone for good, so that no sync brings it back before its bytes change.
    """
    with catalog.write() as connection:
        row = connection.execute(
            select(documents).where(documents.c.id == document_id, documents.c.state != "removed")
        ).first()
        if row is None:
            raise no_document(document_id)
        take_out(connection, document_id)
        if row.folder_id is None and row.parent_id is None:
            connection.execute(delete(documents).where(documents.c.id == document_id))
        else:
            keep_out(connection, row.collection_id, row.bytes_hash)


def take_out(connection: Connection, document_id: str) -> None:
    """Leave nothing of a document but its row, which says that it is removed."""
    forget_answers(connection, [document_id, *below(connection, [document_id])])
    note_removal(connection)
    connection.execute(delete(documents).where(documents.c.parent_id == document_id))
    connection.execute(
        update(documents)
        .where(documents.c.id == document_id)
        .values(state="removed", content_key=None, error=None, error_code=None, updated_at=now())
    )


def get_document(catalog: Catalog, document_id: str) -> Document:
    """One document. Raises NotFound."""
    with catalog.read() as connection:
        row = connection.execute(_listing().where(documents.c.id == document_id)).first()
    if row is None:
        raise no_document(document_id)
    return _document(row)


def bytes_of(catalog: Catalog, document_id: str) -> tuple[str, str]:
    """SHA-256 and kind of the bytes that answer for the document now. Raises NotFound."""
    with catalog.read() as connection:
        row = connection.execute(
            select(contents.c.bytes_hash, contents.c.kind)
            .join(documents, documents.c.content_key == contents.c.key)
            .where(documents.c.id == document_id)
        ).first()
    if row is None:
        raise no_document(document_id, "readable document")
    return row.bytes_hash, row.kind


def source_of(catalog: Catalog, document_id: str) -> str:
    """A document's source, also of one that was removed and left a row; empty where there is none.

    It is what tells its place in the list.
    """
    with catalog.read() as connection:
        statement = select(documents.c.source).where(documents.c.id == document_id)
        return connection.execute(statement).scalar() or ""


def list_documents(
    catalog: Catalog,
    limit: int = 100,
    after: tuple[str, str] | None = None,
    names: Iterable[str] | None = None,
    parent: str | None = None,
    words: str = "",
) -> list[Document]:
    """Up to `limit` documents by source, those after the pair (source, id). UnknownCollection.

    Members come right after the document that they are in; with a `parent` only its own are given,
    with `words` those that have each of them in their source or title, however case and accents
    are written.
    """
    with catalog.read() as connection:
        statement = _listing().where(named_with(connection, words))
        if names is not None:
            keys = collection_ids(connection, names)
            statement = statement.where(documents.c.collection_id.in_(keys))
        if parent is not None:
            statement = statement.where(documents.c.parent_id == parent)
        if after is not None:
            place = tuple_(SOURCE_ORDER, documents.c.id)
            statement = statement.where(place > (after[0].replace("/", _FIRST), after[1]))
        statement = statement.order_by(SOURCE_ORDER, documents.c.id).limit(limit)
        return [_document(row) for row in connection.execute(statement)]


def known_sources(
    catalog: Catalog, sources: Iterable[str], names: Iterable[str] | None = None
) -> set[str]:
    """Those of these sources that some document of these collections (None: all) has.

    Raises UnknownCollection.
    """
    found: set[str] = set()
    with catalog.read() as connection:
        ids = collection_ids(connection, names)
        for some in batched(sources):
            statement = select(documents.c.source).where(
                documents.c.source.in_(some),
                documents.c.collection_id.in_(ids),
                documents.c.state != "removed",
            )
            found.update(connection.execute(statement).scalars())
    return found


def count_states(catalog: Catalog) -> dict[str, int]:
    """How many documents are in each state."""
    with catalog.read() as connection:
        rows = connection.execute(
            select(documents.c.state, func.count()).group_by(documents.c.state)
        )
        return {row[0]: row[1] for row in rows}


def no_document(document_id: str, what: str = "document") -> NotFound:
    """The error for a document that is not there."""
    return NotFound(
        f"There is no {what} {document_id[:80]}. It may have been removed; `cloister ingest "
        "status` lists them."
    )


def _listing() -> Select[Any]:
    inside = documents.alias("inside")
    count = (
        select(func.count())
        .select_from(inside)
        .where(inside.c.parent_id == documents.c.id, inside.c.state != "removed")
        .correlate(documents)
        .scalar_subquery()
    )
    return (
        select(
            documents,
            collections.c.name.label("collection"),
            folders.c.path.label("folder"),
            func.coalesce(contents.c.title, "").label("title"),
            contents.c.language,
            func.coalesce(contents.c.unread, "[]").label("unread"),
            func.coalesce(contents.c.page_count, 0).label("pages"),
            func.coalesce(contents.c.chunk_count, 0).label("chunks"),
            case((documents.c.content_key.is_(None), 0), else_=1).label("searchable"),
            count.label("members"),
        )
        .join(collections, collections.c.id == documents.c.collection_id)
        .outerjoin(folders, folders.c.id == documents.c.folder_id)
        .outerjoin(contents, contents.c.key == documents.c.content_key)
        .where(documents.c.state != "removed")
    )


def shown_title(title: str, source: str) -> str:
    """What a document is called: its own title, else its file's name without the suffix."""
    if title:
        return title
    name = source.rpartition("/")[2]
    dot = name.rfind(".")
    return (name[:dot] if 0 < dot < len(name) - 1 else name) or source


def _document(row: Row[Any]) -> Document:
    return Document(
        id=row.id,
        title=shown_title(row.title, row.source),
        source=row.source,
        collection=row.collection,
        kind=row.kind,
        state=row.state,
        bytes=row.size,
        pages=row.pages,
        chunks=row.chunks,
        searchable=bool(row.searchable),
        progress=row.progress,
        created_at=row.created_at,
        updated_at=row.updated_at,
        error=row.error,
        error_code=row.error_code,
        folder=row.folder,
        parent=row.parent_id,
        members=row.members,
        language=row.language,
        unread_pages=tuple(json.loads(row.unread)),
    )
