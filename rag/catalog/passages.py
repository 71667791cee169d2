"""Chunks that may answer a question now: those of documents that are in the library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import Row, Select, String, bindparam, func, select

from rag.catalog import Catalog
from rag.catalog.batching import among_ids, batched
from rag.catalog.contents import Vectors
from rag.catalog.documents import shown_title
from rag.catalog.filtering import allowed, day_of
from rag.catalog.index_rows import of_one_length
from rag.catalog.schema import chunks, contents, documents
from rag.records import NO_FILTERS, Filters, Passage
from rag.twins import twin

# built once: to build a statement, and to find it compiled, takes as long as to run one
_LIVE: Select[Any] = (
    select(
        chunks.c.id,
        chunks.c.page,
        chunks.c.start,
        chunks.c.end,
        chunks.c.text,
        chunks.c.context,
        documents.c.id.label("document_id"),
        documents.c.source,
        documents.c.stat_key,
        documents.c.created_at,
        contents.c.title,
        contents.c.dated,
        documents.c.sent,
    )
    .join(contents, contents.c.key == chunks.c.content_key)
    .join(documents, documents.c.content_key == contents.c.key)
)
_LIVE_AMONG = _LIVE.where(among_ids()).order_by(documents.c.created_at)
# a recipe ends with the fingerprint of its embedder
_BY = bindparam("embedder", type_=String)
_EMBEDDED = func.substr(contents.c.recipe, -func.length(_BY)) == _BY
_CANDIDATES = _LIVE_AMONG.add_columns(chunks.c.vector, _EMBEDDED.label("embedded"))
_VECTORS: Select[Any] = select(chunks.c.id, chunks.c.vector, _EMBEDDED).join(
    contents, contents.c.key == chunks.c.content_key
)


def live_passages(
    catalog: Catalog,
    ids: Iterable[str],
    collections: Sequence[str] | None = None,
    filters: Filters = NO_FILTERS,
) -> Mapping[str, Passage]:
    """The chunks among `ids` that are live in documents that may answer, by id, with score 0.

    Where several documents hold the same bytes the one that came first is named, and the others
    are its twins. Raises UnknownCollection and NotFound, as all here do.
    """
    asked = {"ids": json.dumps(list(ids))}
    return _first_of_each(_live_rows(catalog, _LIVE_AMONG, asked, collections, filters))


def live_candidates(
    catalog: Catalog,
    ids: Iterable[str],
    embedded_by: str,
    dimensions: int,
    collections: Sequence[str] | None = None,
    filters: Filters = NO_FILTERS,
) -> tuple[Mapping[str, Passage], Mapping[str, Vectors]]:
    """What `live_passages` gives, and the vectors of those that `embedded_by` embedded.

    They have shape (dimensions,) and length 1, but for their rounding to float16; one of another
    length is torn, and left out.
    """
    asked = {"ids": json.dumps(list(ids)), "embedder": embedded_by}
    rows = _live_rows(catalog, _CANDIDATES, asked, collections, filters)
    packed = {row.id: row.vector for row in rows if row.embedded}
    names, vectors = _stacked(list(packed.items()), dimensions)
    return _first_of_each(rows), dict(zip(names, vectors, strict=True))


def passages_of(catalog: Catalog, chosen: Mapping[str, str]) -> Mapping[str, Passage]:
    """The chunk named for each document, by the document's id, or its first one for an empty name.

    Documents that have gone, or have that chunk no more, are left out.
    """
    found: dict[str, Passage] = {}
    named = [key for key, chunk_id in chosen.items() if chunk_id]
    unnamed = [key for key, chunk_id in chosen.items() if not chunk_id]
    with catalog.read() as connection:
        for some in batched(named):
            those = chunks.c.id.in_({chosen[key] for key in some})
            for row in connection.execute(_LIVE.where(those, documents.c.id.in_(some))):
                if chosen[row.document_id] == row.id:
                    found[row.document_id] = _passage(row)
        for some in batched(unnamed):
            first = chunks.c.ordinal == 0
            for row in connection.execute(_LIVE.where(first, documents.c.id.in_(some))):
                found[row.document_id] = _passage(row)
    return found


def passage_at(catalog: Catalog, document_id: str, page: int, start: int) -> Passage | None:
    """The chunk of a live document that begins there; None where there is none (any more)."""
    those = (documents.c.id == document_id, chunks.c.page == page, chunks.c.start == start)
    with catalog.read() as connection:
        row = connection.execute(_LIVE.where(*those)).first()
    return _passage(row) if row else None


def live_size(
    catalog: Catalog, collections: Sequence[str] | None = None, filters: Filters = NO_FILTERS
) -> int:
    """How many chunks are live in documents that may answer (the same bytes in each of them)."""
    with catalog.read() as connection:
        statement = (
            select(func.sum(contents.c.chunk_count))
            .join(documents, documents.c.content_key == contents.c.key)
            .where(allowed(connection, collections, filters))
        )
        return int(connection.execute(statement).scalar() or 0)


def live_chunks(
    catalog: Catalog,
    collections: Sequence[str] | None,
    embedded_by: str,
    filters: Filters = NO_FILTERS,
    dimensions: int = 0,
) -> tuple[list[str], list[str], Vectors]:
    """The live chunks of documents that may answer: their ids, whoever embedded them.

    Then the ids and vectors, shape (n, dimensions), of those embedded by `embedded_by`. One that is
    torn is left out: of another length than `dimensions`, or than most where it is 0.
    """
    with catalog.read() as connection:
        keys = select(documents.c.content_key).where(allowed(connection, collections, filters))
        statement = _VECTORS.where(contents.c.key.in_(keys))
        rows = connection.execute(statement, {"embedder": embedded_by}).all()
    # a row's columns are read by their places: thousands of names are looked up slowly
    return [row[0] for row in rows], *_stacked([row for row in rows if row[2]], dimensions)


def _live_rows(
    catalog: Catalog,
    statement: Select[Any],
    asked: Mapping[str, str],
    collections: Sequence[str] | None,
    filters: Filters,
) -> Sequence[Row[Any]]:
    with catalog.read() as connection:
        if collections is not None or filters.given:
            # looked at last: else SQLite goes through all chunks of the collections to find few
            those = allowed(connection, collections, filters)
            statement = statement.where(func.coalesce(those, 0))
        return connection.execute(statement, asked).all()


def _first_of_each(rows: Iterable[Row[Any]]) -> Mapping[str, Passage]:
    """The passages by their chunks' ids: the first row of each, and the others as its twins."""
    found: dict[str, Passage] = {}
    for row in rows:
        passage = _passage(row)
        first = found.setdefault(passage.chunk_id, passage)
        if first is not passage:
            twins = (*first.twins, twin(first, passage, "same"))
            found[passage.chunk_id] = replace(first, twins=twins)
    return found


def _stacked(rows: Sequence[Any], dimensions: int) -> tuple[list[str], Vectors]:
    if dimensions:
        width = dimensions * np.dtype("<f2").itemsize
        rows = [row for row in rows if len(row[1]) == width]
    else:
        rows = of_one_length(rows)
    if not rows:
        return [], np.zeros((0, 0), dtype=np.float32)
    packed = np.frombuffer(b"".join([row[1] for row in rows]), dtype="<f2")
    return [row[0] for row in rows], packed.reshape(len(rows), -1).astype(np.float32)


def _passage(row: Iterable[Any]) -> Passage:
    # by the places of the columns: a hundred rows are looked up by names slowly
    (
        chunk_id,
        page,
        start,
        end,
        text,
        context,
        document_id,
        source,
        stat_key,
        created_at,
        title,
        dated,
        sent,
        *_,
    ) = row
    return Passage(
        chunk_id=chunk_id,
        document_id=document_id,
        title=shown_title(title, source),
        source=source,
        page=page,
        start=start,
        end=end,
        text=text,
        score=0.0,
        context=context,
        dated=day_of(dated or sent, stat_key, created_at),
    )
