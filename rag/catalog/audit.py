"""Looks for rows of the catalog that are not what was written, and puts them right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Select, select, update

from rag.catalog import Catalog, now
from rag.catalog.batching import batched
from rag.catalog.checksums import BEGUN, WRITING, content_checksum
from rag.catalog.contents import Vectors, pack_vector, to_be_read_again, unpack_vector
from rag.catalog.queue import requeue
from rag.catalog.schema import chunks, contents, documents, folders, members, pages

# a float16 rounding of a vector of length 1 keeps its length within this
_LENGTH_SLACK = 0.01
_LOST_CODE = "original-lost"

Values = Mapping[str, Any]


def count_contents(catalog: Catalog) -> int:
    """How many contents answer for documents."""
    return len(_answering(catalog))


def altered_contents(catalog: Catalog, tell: Callable[[int], None] | None = None) -> list[str]:
    """The contents that answer for documents and whose rows are not as they were written."""
    altered = []
    for key in _answering(catalog):
        if not _is_sound(*_rows(catalog, key)):
            altered.append(key)
        if tell:
            tell(1)
    return altered


def restore_content(
    catalog: Catalog, key: str, vectors_of: Callable[[Sequence[str]], Mapping[str, Vectors]]
) -> bool:
    """Take texts from the pages and vectors from the index where the checksum proves them right.

    False where that does not make the content what it was; then nothing is changed.
    """
    content, page_rows, chunk_rows, member_rows = _rows(catalog, key)
    texts = {row["number"]: row["text"] for row in page_rows}
    held = vectors_of([row["id"] for row in chunk_rows])
    by_text = [{**row, "text": _span(texts, row)} for row in chunk_rows]
    for candidate in (by_text, _with_vectors(chunk_rows, held), _with_vectors(by_text, held)):
        found = content_checksum(content["title"], page_rows, candidate, member_rows)
        if found == content["checksum"]:
            with catalog.write() as connection:
                for row in candidate:
                    connection.execute(
                        update(chunks)
                        .where(chunks.c.id == row["id"])
                        .values(text=row["text"], vector=row["vector"])
                    )
            return True
    return False


def read_again(catalog: Catalog, keys: Iterable[str]) -> None:
    """Queue the documents of these contents; what the rows hold answers until they are read."""
    with catalog.write() as connection:
        for key in keys:
            to_be_read_again(connection, key)
            named = select(documents.c.id).where(documents.c.content_key == key)
            requeue(connection, list(connection.execute(named).scalars()))


def without_content(catalog: Catalog) -> list[str]:
    """Documents that are said to be live and that no whole content answers for."""
    with catalog.read() as connection:
        return list(
            connection.execute(
                select(documents.c.id)
                .outerjoin(contents, contents.c.key == documents.c.content_key)
                .where(
                    documents.c.state == "live",
                    contents.c.key.is_(None) | (contents.c.indexed == 0),
                )
            ).scalars()
        )


def reconnect(catalog: Catalog, document_ids: Sequence[str]) -> list[str]:
    """Let sound contents that are there answer for these documents; returns the others' ids.

    The indexes must be compared with the catalog after this.
    """
    left = []
    for name in document_ids:
        with catalog.read() as connection:
            same = (contents.c.bytes_hash == documents.c.bytes_hash) & (
                contents.c.kind == documents.c.kind
            )
            key = connection.execute(
                select(contents.c.key)
                .join(documents, same & (contents.c.recipe == documents.c.recipe))
                .where(documents.c.id == name)
            ).scalar()
        if key is None or not _is_sound(*_rows(catalog, key)):
            left.append(name)
            continue
        with catalog.write() as connection:
            connection.execute(update(contents).where(contents.c.key == key).values(indexed=1))
            connection.execute(
                update(documents).where(documents.c.id == name).values(content_key=key)
            )
    return left


def queue_again(catalog: Catalog, document_ids: Sequence[str]) -> None:
    """Put these documents back into the queue."""
    with catalog.write() as connection:
        requeue(connection, document_ids)


def sources_of_contents(catalog: Catalog, keys: Iterable[str]) -> list[str]:
    """The sources of the documents that these contents answer for."""
    return _sources(catalog, documents.c.content_key, keys)


def sources_of_chunks(catalog: Catalog, ids: Iterable[str]) -> list[str]:
    """The sources of the documents that these chunks are of."""
    return _sources(
        catalog,
        chunks.c.id,
        ids,
        select(documents.c.source).join(chunks, chunks.c.content_key == documents.c.content_key),
    )


def sources_of_originals(catalog: Catalog, hashes: Iterable[str]) -> list[str]:
    """The sources of the documents whose bytes have these SHA-256."""
    return _sources(catalog, documents.c.bytes_hash, hashes)


def sources_of(catalog: Catalog, document_ids: Iterable[str]) -> list[str]:
    """The sources of these documents."""
    return _sources(catalog, documents.c.id, document_ids)


def needed_originals(catalog: Catalog) -> list[str]:
    """The SHA-256 of the originals of all documents, and of those that still answer for them."""
    with catalog.read() as connection:
        now_there = select(documents.c.bytes_hash).where(documents.c.state != "removed")
        answering = select(contents.c.bytes_hash).join(
            documents, documents.c.content_key == contents.c.key
        )
        return sorted(connection.execute(now_there.union(answering)).scalars())


def synced_copies(catalog: Catalog, bytes_hash: str) -> list[tuple[str, str]]:
    """Folder and source of each synced file that had these bytes."""
    with catalog.read() as connection:
        rows = connection.execute(
            select(folders.c.path, documents.c.source)
            .join(folders, folders.c.id == documents.c.folder_id)
            .where(documents.c.bytes_hash == bytes_hash, documents.c.parent_id.is_(None))
        )
        return [(row.path, row.source) for row in rows]


def containers_of(catalog: Catalog, bytes_hash: str, lost: Collection[str]) -> list[str]:
    """The contents that answer and list a member of these bytes, their own originals not lost."""
    with catalog.read() as connection:
        found = connection.execute(
            select(contents.c.key, contents.c.bytes_hash)
            .join(members, members.c.content_key == contents.c.key)
            .join(documents, documents.c.content_key == contents.c.key)
            .where(members.c.bytes_hash == bytes_hash)
            .distinct()
        )
        return [row.key for row in found if row.bytes_hash not in lost]


def mark_lost_originals(catalog: Catalog, hashes: Sequence[str]) -> None:
    """Say so at the documents whose originals are lost, and nowhere else."""
    with catalog.write() as connection:
        marked = connection.execute(
            select(documents.c.bytes_hash).where(documents.c.error_code == _LOST_CODE).distinct()
        )
        found = (
            update(documents)
            .where(documents.c.error_code == _LOST_CODE)
            .values(error=None, error_code=None, updated_at=now())
        )
        for some in batched(set(marked.scalars()) - set(hashes)):
            connection.execute(found.where(documents.c.bytes_hash.in_(some)))
        lost = (
            update(documents)
            .where(documents.c.state == "live")
            .values(
                error="The stored file is lost or damaged; its text still answers. Add it again.",
                error_code=_LOST_CODE,
                updated_at=now(),
            )
        )
        for some in batched(hashes):
            connection.execute(lost.where(documents.c.bytes_hash.in_(some)))


def _answering(catalog: Catalog) -> list[str]:
    with catalog.read() as connection:
        named = select(documents.c.content_key).where(documents.c.content_key.is_not(None))
        return list(
            connection.execute(
                select(contents.c.key).where(contents.c.key.in_(named)).order_by(contents.c.key)
            ).scalars()
        )


def _rows(catalog: Catalog, key: str) -> tuple[Values, list[Values], list[Values], list[Values]]:
    with catalog.read() as connection:

        def rows(column: ColumnElement[Any], *order: ColumnElement[Any]) -> list[Values]:
            statement = select(column.table).where(column == key).order_by(*order)
            return [dict[str, Any](row) for row in connection.execute(statement).mappings()]

        (content,) = rows(contents.c.key)
        return (
            content,
            rows(pages.c.content_key, pages.c.number),
            rows(chunks.c.content_key, chunks.c.ordinal, chunks.c.id),
            rows(members.c.content_key, members.c.ordinal),
        )


def _is_sound(
    content: Values, page_rows: list[Values], chunk_rows: list[Values], member_rows: list[Values]
) -> bool:
    if content["checksum"] in (WRITING, BEGUN):
        return False
    if (len(page_rows), len(chunk_rows)) != (content["page_count"], content["chunk_count"]):
        return False
    texts = {row["number"]: row["text"] for row in page_rows}
    if any(row["text"] != _span(texts, row) for row in chunk_rows):
        return False
    if content["checksum"]:
        found = content_checksum(content["title"], page_rows, chunk_rows, member_rows)
        return bool(found == content["checksum"])
    lengths = (float(np.linalg.norm(unpack_vector(row["vector"]))) for row in chunk_rows)
    return all(abs(length - 1.0) < _LENGTH_SLACK for length in lengths)


def _span(texts: Mapping[int, str], row: Values) -> str:
    return texts.get(row["page"], "")[row["start"] : row["end"]]


def _with_vectors(rows: Sequence[Values], held: Mapping[str, Vectors]) -> list[Values]:
    return [
        {**row, "vector": pack_vector(held[row["id"]]) if row["id"] in held else row["vector"]}
        for row in rows
    ]


def _sources(
    catalog: Catalog,
    column: ColumnElement[Any],
    values: Iterable[str],
    statement: Select[Any] | None = None,
) -> list[str]:
    statement = select(documents.c.source) if statement is None else statement
    found: set[str] = set()
    with catalog.read() as connection:
        for batch in batched(values):
            found.update(connection.execute(statement.where(column.in_(batch))).scalars())
    return sorted(found)
