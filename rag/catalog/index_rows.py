"""Chunks as the indexes hold them: what the catalog gives to Chroma and tantivy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select

from rag.catalog import Catalog
from rag.catalog.batching import BATCH, batched
from rag.catalog.contents import Content, Vectors, unpack_vector
from rag.catalog.schema import chunks, contents

_ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A chunk as the indexes need it."""

    id: str
    text: str
    context: str
    vector: Vectors
    language: str = ""


def rows_for_indexes(batch: Sequence[Content]) -> Iterator[list[IndexRow]]:
    """What of contents goes into the indexes, in parts: a large document has very many chunks."""
    rows: list[IndexRow] = []
    for content in batch:
        for chunk, vector in zip(content.chunks, content.vectors, strict=True):
            rows.append(
                IndexRow(chunk.id, chunk.text, chunk.context, vector, content.parsed.language or "")
            )
            if len(rows) == _ROWS_AT_ONCE:
                yield rows
                rows = []
    if rows:
        yield rows


def index_rows(catalog: Catalog, embedded_by: str | None = None) -> Iterator[list[IndexRow]]:
    """Every chunk that an index must hold, in batches, ordered by id.

    `embedded_by` keeps the chunks whose vectors were made by that embedder (its fingerprint,
    the last part of a recipe); else all are given.
    """
    last = ""
    while True:
        statement = (
            _chunks_to_index()
            .where(contents.c.indexed != 0, chunks.c.id > last)
            .order_by(chunks.c.id)
            .limit(BATCH)
        )
        if embedded_by is not None:
            statement = statement.where(contents.c.recipe.endswith(embedded_by, autoescape=True))
        with catalog.read() as connection:
            rows = connection.execute(statement).all()
        if not rows:
            return
        sound = rows if embedded_by is None else of_one_length(rows)
        yield [_index_row(row) for row in sound]
        last = rows[-1].id


def index_ids(catalog: Catalog, embedded_by: str) -> list[str]:
    """The ids of every chunk that the index of this embedder's vectors must hold, in order."""
    with catalog.read() as connection:
        statement = (
            select(chunks.c.id)
            .join(contents, contents.c.key == chunks.c.content_key)
            .where(
                contents.c.indexed != 0, contents.c.recipe.endswith(embedded_by, autoescape=True)
            )
            .order_by(chunks.c.id)
        )
        return list(connection.execute(statement).scalars())


def vectors_of(catalog: Catalog, ids: Iterable[str]) -> list[IndexRow]:
    """These chunks, those that are there and embedded, as the indexes need them."""
    rows: list[Row[Any]] = []
    with catalog.read() as connection:
        for some in batched(ids):
            statement = _chunks_to_index().where(chunks.c.id.in_(some))
            rows += connection.execute(statement.where(func.length(chunks.c.vector) > 0))
    return [_index_row(row) for row in of_one_length(rows)]


def count_chunks(catalog: Catalog) -> int:
    """How many chunks the indexes should hold."""
    with catalog.read() as connection:
        statement = (
            select(func.count())
            .select_from(chunks)
            .join(contents, contents.c.key == chunks.c.content_key)
            .where(contents.c.indexed != 0)
        )
        return int(connection.execute(statement).scalar() or 0)


def _chunks_to_index() -> Select[Any]:
    return select(
        chunks.c.id, chunks.c.text, chunks.c.context, chunks.c.vector, contents.c.language
    ).join(contents, contents.c.key == chunks.c.content_key)


def _index_row(row: Row[Any]) -> IndexRow:
    return IndexRow(row.id, row.text, row.context, unpack_vector(row.vector), row.language or "")


def of_one_length(rows: Sequence[Any]) -> Sequence[Any]:
    """Without rows whose vectors are cut or torn: an index cannot hold them beside the others."""
    lengths = Counter(len(row.vector) for row in rows)
    if len(lengths) < 2:
        return rows
    ((right, _),) = lengths.most_common(1)
    return [row for row in rows if len(row.vector) == right]
