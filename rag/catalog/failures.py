"""What could not be read, and why: documents, and files within them that were not taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from rag.catalog import Catalog
from rag.catalog.batching import batched
from rag.catalog.contents import to_be_read_again
from rag.catalog.family import below
from rag.catalog.queue import requeue
from rag.catalog.schema import contents, documents, members
from rag.errors import UnsupportedFormat
from rag.parsed import Member

# a kind of file that is not read is left out in silence, as in a folder
_NOT_READ = UnsupportedFormat("").code

Failure = tuple[str, str]


def folder_failures(catalog: Catalog, folder: int) -> list[Failure]:
    """Source and reason of each file of a synced folder, and within one, that failed."""
    with catalog.read() as connection:
        return sorted(_failures(connection, documents.c.folder_id == folder))


def document_failures(catalog: Catalog, document_ids: Iterable[str]) -> list[Failure]:
    """Source and reason of those of these documents, and of the files in them, that failed."""
    found: list[Failure] = []
    names = list(document_ids)
    with catalog.read() as connection:
        for some in batched([*names, *below(connection, names)]):
            found += _failures(connection, documents.c.id.in_(some))
    return sorted(found)


def left_out(catalog: Catalog, document_id: str, limit: int) -> list[Member]:
    """The files within a document that were not taken, with the reasons, up to `limit`."""
    with catalog.read() as connection:
        rows = connection.execute(
            select(members)
            .join(documents, documents.c.content_key == members.c.content_key)
            .where(documents.c.id == document_id, members.c.error.is_not(None))
            .order_by(members.c.ordinal)
            .limit(limit)
        )
        return [Member(r.name, r.kind, r.bytes_hash, r.size, r.error_code, r.error) for r in rows]


def try_again(connection: Connection, which: ColumnElement[bool]) -> int:
    """Queue what failed among these documents; returns how many.

    One in which a file was not taken is taken apart anew. What answers goes on answering.
    """
    failed = connection.execute(
        select(documents.c.id).where(which, documents.c.state == "failed")
    ).scalars()
    partly = connection.execute(_not_taken(which & (documents.c.state != "removed"))).all()
    names = {*failed, *(row.id for row in partly)}
    for key in {row.key for row in partly}:
        to_be_read_again(connection, key)
        # whoever else it answers for must not be left with a content that counts as unread
        named = select(documents.c.id).where(documents.c.content_key == key)
        names.update(connection.execute(named).scalars())
    for some in batched(names):
        requeue(connection, some)
    return len(names)


def _failures(connection: Connection, which: ColumnElement[bool]) -> list[Failure]:
    failed = connection.execute(
        select(documents.c.source, documents.c.error).where(which, documents.c.state == "failed")
    ).all()
    not_taken = connection.execute(
        _not_taken(which).with_only_columns(documents.c.source, members.c.name, members.c.error)
    ).all()
    return [(row.source, row.error or "unknown") for row in failed] + [
        (f"{row.source}/{row.name}", row.error) for row in not_taken
    ]


def _not_taken(which: ColumnElement[bool]) -> Select[Any]:
    return (
        select(documents.c.id, contents.c.key)
        .join(contents, contents.c.key == documents.c.content_key)
        .join(members, members.c.content_key == contents.c.key)
        .where(which, members.c.error.is_not(None), members.c.error_code != _NOT_READ)
    )
