"""Documents within documents: what is above one, and what is below."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, literal, select

from rag.catalog.batching import batched
from rag.catalog.schema import documents


@dataclass(frozen=True, slots=True)
class Nesting:
    """What one file may bring: how deep, how many members, of how many bytes in all."""

    depth: int = 3
    members: int = 10_000
    size: int = 2_000_000_000


def below(connection: Connection, document_ids: Iterable[str]) -> list[str]:
    """The ids of all members of these documents, at any depth."""
    found: list[str] = []
    level = list(document_ids)
    while level:
        above, level = level, []
        for some in batched(above):
            statement = select(documents.c.id).where(documents.c.parent_id.in_(some))
            level += connection.execute(statement).scalars()
        found += level
    return found


def room_within(connection: Connection, document_id: str, nesting: Nesting) -> Nesting:
    """What is left for the members of a document, after the rest of the file that it came in.

    A `depth` below 1 means that it may have none.
    """
    root, depth = document_id, nesting.depth
    while parent := connection.execute(
        select(documents.c.parent_id).where(documents.c.id == root)
    ).scalar():
        root, depth = parent, depth - 1
    if root == document_id:
        return nesting
    tree = (
        select(documents.c.id, documents.c.size)
        .where(documents.c.parent_id == literal(root), documents.c.id != document_id)
        .cte("tree", recursive=True)
    )
    tree = tree.union_all(
        select(documents.c.id, documents.c.size).where(
            documents.c.parent_id == tree.c.id, documents.c.id != document_id
        )
    )
    count, size = connection.execute(
        select(func.count(), func.coalesce(func.sum(tree.c.size), 0)).select_from(tree)
    ).one()
    # the document itself is one of them
    return Nesting(depth, nesting.members - count - 1, nesting.size - size)
