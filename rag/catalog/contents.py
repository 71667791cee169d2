"""Contents: what one recipe made of one file's bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, delete, exists, select, update

from rag.catalog import Catalog, now
from rag.catalog.batching import batched
from rag.catalog.checksums import content_checksum
from rag.catalog.family import Nesting
from rag.catalog.pages import page_row
from rag.catalog.queue import UNFINISHED, Task, make_live
from rag.catalog.schema import chunks, contents, documents, members, pages
from rag.catalog.versions import nesting_ones, seat
from rag.parsed import MOMENT, Parsed
from rag.records import Chunk

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Content:
    """A content that is ready to be written. `vectors` has shape (len(chunks), dimensions)."""

    key: str
    task: Task
    recipe: str
    parsed: Parsed
    chunks: tuple[Chunk, ...]
    vectors: Vectors


def content_key(bytes_hash: str, kind: str, recipe: str) -> str:
    """The name of what `recipe` makes of these bytes: 32 hexadecimal digits of a SHA-256."""
    return hashlib.sha256(f"{bytes_hash}\0{kind}\0{recipe}".encode()).hexdigest()[:32]


def pack_vector(vector: Vectors) -> bytes:
    """A vector of length 1 as float16 bytes."""
    return np.asarray(vector, dtype="<f2").tobytes()


def unpack_vector(packed: bytes) -> Vectors:
    """What `pack_vector` packed, as float32."""
    whole = len(packed) // 2 * 2  # a torn row of a damaged catalog is for `check` to tell
    return np.frombuffer(packed[:whole], dtype="<f2").astype(np.float32)


def indexed(catalog: Catalog, keys: Iterable[str]) -> set[str]:
    """Those of these contents that are there, whole in every index, and not to be read again."""
    found: set[str] = set()
    with catalog.read() as connection:
        for some in batched(keys):
            named = contents.c.key.in_(some), contents.c.indexed == 1
            found.update(connection.execute(select(contents.c.key).where(*named)).scalars())
    return found


def to_be_read_again(connection: Connection, key: str) -> None:
    """A content is made anew when a document of it is read; until then it stays in the indexes."""
    whole = (contents.c.key == key, contents.c.indexed == 1)
    connection.execute(update(contents).where(*whole).values(indexed=2))


def is_answering(catalog: Catalog, key: str) -> bool:
    """Whether this content answers for a document now, whole or not."""
    with catalog.read() as connection:
        named = select(documents.c.id).where(documents.c.content_key == key).limit(1)
        return connection.execute(named).first() is not None


def put_contents(catalog: Catalog, batch: Sequence[Content]) -> None:
    """Write contents with their pages and chunks; nothing answers from them yet."""
    with catalog.write() as connection:
        insert_contents(connection, batch)


def insert_contents(
    connection: Connection, batch: Sequence[Content], checksum: str | None = None
) -> None:
    """As `put_contents`, within a transaction; what was there of these contents goes.

    `checksum` is noted in place of theirs.
    """
    # a content that is read again is still named by its documents until the new rows are in
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    each = {content.key: content for content in batch}
    answering = _in_indexes(connection, each)
    _delete(connection, each)
    rows: dict[Table, list[dict[str, Any]]] = {t: [] for t in (contents, pages, chunks, members)}
    for content in each.values():
        in_order = sorted(content.parsed.pages, key=lambda page: page.number)
        page_rows = [page_row(content.key, page) for page in in_order]
        chunk_rows = [
            chunk_row(content.key, chunk, pack_vector(vector))
            for chunk, vector in zip(content.chunks, content.vectors, strict=True)
        ]
        member_rows = [
            {"content_key": content.key, "ordinal": i, **asdict(member)}
            for i, member in enumerate(content.parsed.members)
        ]
        rows[pages] += page_rows
        rows[chunks] += chunk_rows
        rows[members] += member_rows
        rows[contents].append(
            {
                "key": content.key,
                "bytes_hash": content.task.bytes_hash,
                "kind": content.task.kind,
                "recipe": content.recipe,
                "title": content.parsed.title,
                "language": content.parsed.language,
                "dated": _past(content.parsed.dated),
                "unread": json.dumps(content.parsed.unread),
                "page_count": len(content.parsed.pages),
                "chunk_count": len(content.chunks),
                "indexed": 2 if content.key in answering else 0,
                "checksum": checksum
                or content_checksum(content.parsed.title, page_rows, chunk_rows, member_rows),
                "created_at": now(),
            }
        )
    for table, those in rows.items():
        if those:
            connection.execute(table.insert(), those)


def _in_indexes(connection: Connection, keys: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for some in batched(keys):
        named = contents.c.key.in_(some), contents.c.indexed != 0
        found.update(connection.execute(select(contents.c.key).where(*named)).scalars())
    return found


def _past(moment: str) -> str:
    """The moment, if it is not to come: a wrong clock is not to be the newest for good.

    A clock may be a day fast.
    """
    return moment if moment < (datetime.now(UTC) + timedelta(days=1)).strftime(MOMENT) else ""


def chunk_row(key: str, chunk: Chunk, packed: bytes) -> dict[str, Any]:
    """A chunk of content `key` as a row of the table, with its packed vector."""
    return {
        "id": chunk.id,
        "content_key": key,
        "ordinal": chunk.ordinal,
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "context": chunk.context,
        "vector": packed,
    }


def publish(
    catalog: Catalog,
    finished: Sequence[tuple[Task, str]],
    recipe: str,
    nesting: Nesting | None = None,
    checksums: Mapping[str, str] | None = None,
) -> list[str]:
    """Let contents answer for documents, all in one transaction; returns the documents' ids.

    Each content must be in the indexes already. A document that changed or was removed meanwhile
    is left out. Their members take the places of those that they had. `checksums` are those of
    contents that were written in portions, by their keys.
    """
    with catalog.write() as connection:
        for some in batched(sorted({key for _, key in finished})):
            connection.execute(update(contents).where(contents.c.key.in_(some)).values(indexed=1))
        for key, checksum in (checksums or {}).items():
            connection.execute(
                update(contents).where(contents.c.key == key).values(checksum=checksum)
            )
        published = make_live(connection, finished, recipe)
        for document_id in nesting_ones(connection, published):
            seat(connection, document_id, nesting or Nesting())
        return published


def dead_contents(catalog: Catalog) -> list[str]:
    """Contents that answer for no document: left by a change, a removal or a killed worker.

    Those of bytes that still wait to be read may be on their way, and are not dead. Only the
    worker may ask, between two batches: what it is writing is not referred to yet.
    """
    with catalog.read() as connection:
        used = exists().where(documents.c.content_key == contents.c.key)
        awaited = exists().where(
            documents.c.bytes_hash == contents.c.bytes_hash,
            documents.c.kind == contents.c.kind,
            documents.c.state.in_(UNFINISHED),
        )
        statement = select(contents.c.key).where(~used, ~awaited)
        return list(connection.execute(statement).scalars())


def retire(catalog: Catalog, keys: Iterable[str]) -> None:
    """Say of contents that they are in no index any more: they are about to leave them."""
    with catalog.write() as connection:
        for some in batched(keys):
            connection.execute(update(contents).where(contents.c.key.in_(some)).values(indexed=0))


def chunk_ids(catalog: Catalog, keys: Iterable[str]) -> list[str]:
    """The ids of all chunks of these contents."""
    found: list[str] = []
    with catalog.read() as connection:
        for some in batched(keys):
            statement = select(chunks.c.id).where(chunks.c.content_key.in_(some))
            found += connection.execute(statement).scalars()
    return found


def delete_contents(catalog: Catalog, keys: Iterable[str]) -> None:
    """Erase contents with their pages and chunks."""
    with catalog.write() as connection:
        _delete(connection, keys)


def _delete(connection: Connection, keys: Iterable[str]) -> None:
    for some in batched(keys):
        for table in (chunks, pages, members):
            connection.execute(delete(table).where(table.c.content_key.in_(some)))
        connection.execute(delete(contents).where(contents.c.key.in_(some)))
