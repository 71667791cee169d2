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
    )
    .join(contents, contents.c.key == chunks.c.content_key)
    .join(documents, documents.c.content_key == contents.c.key)
)
_LIVE_AMONG = _LIVE.where(among_ids()).order_by(documents.c.created_at)
# a recipe ends with the fingerprint of its embedder
_BY = bindparam("embedder", type_=String)
_EMBEDDED = func.substr(contents.c.recipe, -func.length(_BY)) == _BY
_VECTORS: Select[Any] = select(chunks.c.id, chunks.c.vector).join(
    contents, contents.c.key == chunks.c.content_key
)
_VECTORS_AMONG = _VECTORS.where(_EMBEDDED, among_ids(), func.length(chunks.c.vector) > 0)


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
    found: dict[str, Passage] = {}
    with catalog.read() as connection:
        # looked at last: else SQLite goes through all chunks of the collections to find these few
        statement = _LIVE_AMONG
        if collections is not None or filters.given:
            those = allowed(connection, collections, filters)
            statement = statement.where(func.coalesce(those, 0))
        for row in connection.execute(statement, {"ids": json.dumps(list(ids))}):
            passage = _passage(row)
            first = found.setdefault(passage.chunk_id, passage)
            if first is not passage:
                twins = (*first.twins, twin(first, passage, "same"))
                found[passage.chunk_id] = replace(first, twins=twins)
    return found


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

    Then the ids and vectors, shape (n, dimensions), of those embedded by `embedded_by`; torn ones
    are left out as by `chunk_vectors`.
    """
    with catalog.read() as connection:
        keys = select(documents.c.content_key).where(allowed(connection, collections, filters))
        statement = _VECTORS.add_columns(_EMBEDDED).where(contents.c.key.in_(keys))
        rows = connection.execute(statement, {"embedder": embedded_by}).all()
    # a row's columns are read by their places: thousands of names are looked up slowly
    return [row[0] for row in rows], *_stacked([row for row in rows if row[2]], dimensions)


def chunk_vectors(
    catalog: Catalog, ids: Iterable[str], embedded_by: str, dimensions: int = 0
) -> tuple[list[str], Vectors]:
    """Those of these chunks that `embedded_by` embedded, live or not, and their vectors.

    The vectors have shape (n, dimensions) and length 1, but for their rounding to float16. One
    that is torn is left out: of another length than `dimensions`, or than most where it is 0.
    """
    wanted = {"ids": json.dumps(list(ids)), "embedder": embedded_by}
    with catalog.read() as connection:
        rows = connection.execute(_VECTORS_AMONG, wanted).all()
    return _stacked(rows, dimensions)


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


def _passage(row: Row[Any]) -> Passage:
    return Passage(
        chunk_id=row.id,
        document_id=row.document_id,
        title=shown_title(row.title, row.source),
        source=row.source,
        page=row.page,
        start=row.start,
        end=row.end,
        text=row.text,
        score=0.0,
        context=row.context,
        dated=day_of(row.stat_key, row.created_at),
    )
