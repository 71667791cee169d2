"""Contents of large documents, written and given their vectors in portions.

Only a part of it is held in memory, and what was embedded before a stop is there after it. Such a
content has the checksum WRITING, then BEGUN from when all its chunks are written until it is
published.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from rag.catalog import Catalog
from rag.catalog.checksums import BEGUN, WRITING, content_checksum
from rag.catalog.contents import (
    Content,
    Vectors,
    chunk_row,
    delete_contents,
    insert_contents,
    pack_vector,
    unpack_vector,
)
from rag.catalog.index_rows import IndexRow
from rag.catalog.schema import chunks, contents, members, pages
from rag.errors import CloisterError
from rag.records import Chunk, with_context

_PORTION = 1000


@dataclass(frozen=True, slots=True)
class Begun:
    """How far a content is: of `count` chunks, in order, `done` have vectors."""

    count: int
    done: int


class Gone(Exception):  # no error: nobody waits for the content any more
    """A content was swept while it was being written."""


def begin(catalog: Catalog, content: Content, found: Iterable[Chunk]) -> int:
    """Write a content's pages and chunks, without vectors; returns how many chunks there are.

    `content` itself has none. Where there are none to write, nothing is. Raises Gone.
    """
    with catalog.write(lasting=False) as connection:
        insert_contents(connection, [content], WRITING)
    try:
        count = 0
        rest = iter(found)
        while portion := list(itertools.islice(rest, _PORTION)):
            with _writing(catalog, content.key, lasting=False) as connection:
                rows = [chunk_row(content.key, chunk, b"") for chunk in portion]
                connection.execute(chunks.insert(), rows)
            count += len(portion)
        if count:
            with _writing(catalog, content.key) as connection:
                named = contents.c.key == content.key
                values = {"checksum": BEGUN, "chunk_count": count}
                connection.execute(update(contents).where(named).values(values))
            return count
    except Exception:
        with suppress(CloisterError):  # on a full disk it may take the room that is lacking
            delete_contents(catalog, [content.key])
        raise
    delete_contents(catalog, [content.key])
    return 0


@contextmanager
def _writing(catalog: Catalog, key: str, lasting: bool = True) -> Iterator[Connection]:
    with catalog.write(lasting) as connection:
        named = select(contents.c.key).where(contents.c.key == key)
        if connection.execute(named).first() is None:
            raise Gone
        yield connection


def begun(catalog: Catalog, key: str) -> Begun | None:
    """How far a content is whose chunks are all written; None where it is not there as such."""
    with catalog.read() as connection:
        count = connection.execute(
            select(contents.c.chunk_count).where(
                contents.c.key == key, contents.c.indexed == 0, contents.c.checksum == BEGUN
            )
        ).scalar()
        if count is None:
            return None
        mine = chunks.c.content_key == key
        waiting = (mine, func.length(chunks.c.vector) == 0)
        first = connection.execute(select(func.min(chunks.c.ordinal)).where(*waiting)).scalar()
        return Begun(count, count if first is None else first)


def texts(catalog: Catalog, key: str, first: int, count: int) -> list[str]:
    """What the embedder is given of `count` chunks from ordinal `first` on."""
    with catalog.read() as connection:
        rows = connection.execute(
            select(chunks.c.context, chunks.c.text)
            .where(chunks.c.content_key == key, chunks.c.ordinal >= first)
            .order_by(chunks.c.ordinal)
            .limit(count)
        )
        return [with_context(row.context, row.text) for row in rows]


def add_vectors(catalog: Catalog, key: str, first: int, vectors: Vectors) -> None:
    """Note the vectors, shape (n, dimensions), of the n chunks from ordinal `first` on."""
    statement = (
        update(chunks)
        .where(chunks.c.content_key == key, chunks.c.ordinal == bindparam("at"))
        .values(vector=bindparam("packed"))
    )
    rows = [{"at": first + i, "packed": pack_vector(v)} for i, v in enumerate(vectors)]
    with catalog.write(lasting=False) as connection:
        connection.execute(statement, rows)


def index_portions(catalog: Catalog, key: str) -> Iterator[list[IndexRow]]:
    """The chunks of a content as the indexes need them, in portions."""
    with catalog.read() as connection:
        language = connection.execute(
            select(contents.c.language).where(contents.c.key == key)
        ).scalar()
    for first in itertools.count(0, _PORTION):
        with catalog.read() as connection:
            rows = connection.execute(
                select(chunks.c.id, chunks.c.text, chunks.c.context, chunks.c.vector)
                .where(
                    chunks.c.content_key == key,
                    chunks.c.ordinal >= first,
                    chunks.c.ordinal < first + _PORTION,
                )
                .order_by(chunks.c.ordinal)
            ).all()
        if not rows:
            return
        yield [
            IndexRow(row.id, row.text, row.context, unpack_vector(row.vector), language or "")
            for row in rows
        ]


def checksum_of(catalog: Catalog, key: str) -> str:
    """The checksum of a content as it is in the catalog."""
    with catalog.read() as connection:
        connection = connection.execution_options(yield_per=_PORTION)
        title = connection.execute(select(contents.c.title).where(contents.c.key == key)).scalar()

        def rows(column: ColumnElement[Any], order: ColumnElement[Any]) -> Iterator[Any]:
            statement = select(column.table).where(column == key).order_by(order)
            return iter(connection.execute(statement).mappings())

        return content_checksum(
            title or "",
            rows(pages.c.content_key, pages.c.number),
            rows(chunks.c.content_key, chunks.c.ordinal),
            rows(members.c.content_key, members.c.ordinal),
        )
