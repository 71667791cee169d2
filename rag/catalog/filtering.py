"""Which documents a question may be answered from, as a condition on their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, case, cast, func, or_, select

from rag.catalog.collections import collection_ids
from rag.catalog.documents import no_document
from rag.catalog.schema import contents, documents
from rag.records import Filters

_EPOCH = date(1970, 1, 1)
_DAY = 86_400_000_000_000  # in the nanoseconds of a file's time


def allowed(
    connection: Connection, names: Iterable[str] | None, filters: Filters
) -> ColumnElement[bool]:
    """What holds for the documents of these collections (None: all) that pass the filters.

    Raises UnknownCollection, and NotFound for a document that is not there.
    """
    conditions: list[ColumnElement[bool]] = [
        documents.c.collection_id.in_(collection_ids(connection, names))
    ]
    if filters.documents:
        conditions.append(_with_members(connection, filters.documents))
    if filters.folder:
        start = filters.folder.rstrip("/") + "/"
        conditions.append(func.substr(documents.c.source, 1, len(start)) == start)
    if filters.kinds:
        conditions.append(documents.c.kind.in_(filters.kinds))
    if filters.languages:
        conditions.append(_in_languages(filters.languages))
    if filters.since:
        conditions.append(_changed() >= _nanoseconds(filters.since))
    if filters.until:
        conditions.append(_changed() < _nanoseconds(filters.until) + _DAY)
    return and_(*conditions)


def day_of(stat_key: str, created_at: str) -> str:
    """The day (UTC) on which a file was last changed; of an upload, on which it was added."""
    parts = stat_key.split(":")
    if len(parts) < 2:
        return created_at[:10]
    return datetime.fromtimestamp(int(parts[1]) // 10**9, UTC).date().isoformat()


def _with_members(connection: Connection, ids: Sequence[str]) -> ColumnElement[bool]:
    """These documents and all that is in them."""
    there = select(documents.c.id).where(documents.c.id.in_(ids), documents.c.state != "removed")
    known = set(connection.execute(there).scalars())
    for name in ids:
        if name not in known:
            raise no_document(name)
    tree = select(documents.c.id).where(documents.c.id.in_(ids)).cte("tree", recursive=True)
    inside = documents.alias("inside")
    tree = tree.union(select(inside.c.id).where(inside.c.parent_id == tree.c.id))
    return documents.c.id.in_(select(tree.c.id))


def _in_languages(tags: Sequence[str]) -> ColumnElement[bool]:
    """Documents in one of these languages; “de” is “de-CH” too."""
    wanted = [
        or_(
            contents.c.language == tag,
            contents.c.language.startswith(f"{tag}-", autoescape=True),
        )
        for tag in tags
    ]
    return documents.c.content_key.in_(select(contents.c.key).where(or_(*wanted)))


def _changed() -> ColumnElement[int]:
    """When a file was last changed, or an upload's day began, in nanoseconds from 1970.

    As `day_of`: a stat key has the time after its first colon, and the cast ends at the second.
    """
    after = func.substr(documents.c.stat_key, func.instr(documents.c.stat_key, ":") + 1)
    added = func.julianday(func.substr(documents.c.created_at, 1, 10)) - func.julianday(
        _EPOCH.isoformat()
    )
    return case(
        (func.instr(documents.c.stat_key, ":") > 0, cast(after, BigInteger)),
        else_=cast(added, BigInteger) * _DAY,
    )


def _nanoseconds(day: str) -> int:
    return (date.fromisoformat(day) - _EPOCH) // timedelta(days=1) * _DAY
