"""Which documents a question may be answered from, as a condition on their rows."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import PurePosixPath
from posixpath import normpath

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    case,
    cast,
    func,
    or_,
    select,
    true,
)

from rag.catalog.collections import collection_ids
from rag.catalog.documents import no_document
from rag.catalog.schema import contents, documents, folders
from rag.errors import NotFound
from rag.records import NO_FILTERS, Filters

_EPOCH = date(1970, 1, 1)
_DAY = 86_400_000_000_000  # in the nanoseconds of a file's time
_MOST = 2**63 - 1


def allowed(
    connection: Connection, names: Iterable[str] | None, filters: Filters
) -> ColumnElement[bool]:
    """What holds for the documents of these collections (None: all) that pass the filters.

    A mail, and what came in it, is dated by when it was sent, what else is in a synced file by the
    time of the file in which it came first. Raises UnknownCollection, and NotFound for a document
    that is not there.
    """
    conditions: list[ColumnElement[bool]] = [true()]
    if names is not None:
        conditions.append(documents.c.collection_id.in_(collection_ids(connection, names)))
    if filters.documents:
        conditions.append(_with_members(connection, filters.documents))
    if filters.folder:
        conditions.append(_below(connection, filters.folder))
    if filters.kinds:
        kinds = [kind.lower().lstrip(".") for kind in filters.kinds]
        conditions.append(documents.c.kind.in_(kinds))
    if filters.languages:
        conditions.append(in_languages(filters.languages))
    if filters.since:
        conditions.append(_changed() >= _nanoseconds(filters.since))
    if filters.until:
        conditions.append(_changed() < _nanoseconds(filters.until, after=1))
    return and_(*conditions)


def check_passing(connection: Connection, names: Iterable[str] | None, filters: Filters) -> None:
    """Raises as `allowed`, and NotFound where no searchable document passes the filters.

    Else a slip in a filter would look as if the documents did not say.
    """
    condition = allowed(connection, names, filters)
    if not filters.given:
        return
    passing = select(documents.c.id).where(condition, documents.c.content_key.is_not(None))
    if connection.execute(passing.limit(1)).first():
        return
    here = (
        select(documents.c.kind, contents.c.language)
        .join(contents, contents.c.key == documents.c.content_key)
        .where(allowed(connection, names, NO_FILTERS))
        .distinct()
    )
    rows = connection.execute(here).all()
    raise NotFound(
        "No searchable document passes the filters. Kinds here: "
        f"{_listed({row.kind for row in rows})}; languages: "
        f"{_listed({row.language for row in rows if row.language})}."
    )


def _listed(values: set[str]) -> str:
    return ", ".join(sorted(values)) or "none yet"


def day_of(dated: str, stat_key: str, created_at: str) -> str:
    """The day (UTC) of a document.

    It is that of the moment at which it was sent (`dated`), as a mail or in one, else the one on
    which its file, or the one that it came in, was last changed; of an upload, on which it was
    added. A file system may keep
    times that no calendar has: they are its first or last day.
    """
    if dated:
        return dated[:10]
    parts = stat_key.split(":")
    if len(parts) < 2:
        return created_at[:10]
    day = _EPOCH.toordinal() + int(parts[1]) // _DAY
    return date.fromordinal(max(1, min(date.max.toordinal(), day))).isoformat()


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


def _below(connection: Connection, path: str) -> ColumnElement[bool]:
    """Documents whose source lies below a path: of a synced folder, or on the disk."""
    inside = _starts(documents.c.source, normpath(path.strip("/") or "."))
    if not path.startswith("/"):
        return inside
    conditions = [inside]
    wanted = PurePosixPath(normpath(path)).parts
    for folder in connection.execute(select(folders.c.id, folders.c.path)):
        here, top = documents.c.folder_id == folder.id, PurePosixPath(folder.path).parts
        shared = min(len(top), len(wanted))
        if _composed("/".join(top[:shared])) != _composed("/".join(wanted[:shared])):
            continue
        rest = "/".join(wanted[shared:])
        conditions.append(and_(here, _starts(documents.c.source, rest)))
    return or_(*conditions)


def _starts(source: ColumnElement[str], path: str) -> ColumnElement[bool]:
    """Sources below a path, by its letters and case; no path is above all.

    Accented letters may be written as they are here, or each in one of the two ways that there are:
    the names of files from a Mac have the other one than what is typed.
    """
    if path in ("", "."):
        return true()
    starts = dict.fromkeys((f"{path}/", f"{_composed(path)}/", f"{_decomposed(path)}/"))
    return or_(*(func.substr(source, 1, len(start)) == start for start in starts))


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _decomposed(path: str) -> str:
    return unicodedata.normalize("NFD", path)


def in_languages(tags: Sequence[str]) -> ColumnElement[bool]:
    """Documents in one of these languages; “de” is “de-CH” too."""
    language = func.lower(contents.c.language)
    folded = [tag.lower().replace("_", "-") for tag in tags]
    wanted = [
        or_(language == tag, func.substr(language, 1, len(tag) + 1) == f"{tag}-") for tag in folded
    ]
    return documents.c.content_key.in_(select(contents.c.key).where(or_(*wanted)))


def _changed() -> ColumnElement[int]:
    """When it was sent, as a mail or in one, else a file last changed, or an upload's day began.

    In nanoseconds from 1970. As `day_of`: a stat key has the time after its first colon, and the
    cast ends at the second.
    """
    after = func.substr(documents.c.stat_key, func.instr(documents.c.stat_key, ":") + 1)
    other = case(
        (_has_file(), cast(after, BigInteger)),
        else_=_nanoseconds_of(func.substr(documents.c.created_at, 1, 10)),
    )
    return func.coalesce(_sent(), other)


def _sent() -> ColumnElement[int]:
    """When a document was sent, as a mail or in one; NULL where it was not, or nothing answers."""
    own = select(_nanoseconds_of(contents.c.dated)).where(
        contents.c.key == documents.c.content_key, contents.c.dated != ""
    )
    within = case((documents.c.sent != "", _nanoseconds_of(documents.c.sent)))
    return func.coalesce(own.correlate(documents).scalar_subquery(), within)


def _has_file() -> ColumnElement[bool]:
    return func.instr(documents.c.stat_key, ":") > 0


def _nanoseconds_of(moment: ColumnElement[str]) -> ColumnElement[int]:
    """A moment or the beginning of a day (ISO 8601), to the millisecond."""
    days = func.julianday(moment) - func.julianday(_EPOCH.isoformat())
    return cast(func.round(days * 86_400_000), BigInteger) * 1_000_000


def came_between(since: str, until: str) -> ColumnElement[bool]:
    """Documents changed or added on the days (ISO 8601) from `since` to `until`, if that is given.

    A file that was added today may have been changed last a year ago.
    """
    added = func.substr(documents.c.created_at, 1, 10)
    came = [added >= since]
    if until:
        came.append(added <= until)
    return or_(changed_between(since, until), and_(*came))


def changed_between(since: str, until: str) -> ColumnElement[bool]:
    """Documents dated by themselves, as `day_of` does, on the days from `since` to `until`."""
    changed = [_changed() >= _nanoseconds(since)]
    if until:
        changed.append(_changed() < _nanoseconds(until, after=1))
    return and_(*changed)


def last_changed() -> ColumnElement[int]:
    """When it was sent, as a mail or in one, else a file last changed, or an upload added.

    In nanoseconds from 1970, to order by.
    """
    added = func.coalesce(_sent(), _nanoseconds_of(documents.c.created_at))
    return case((_has_file(), _changed()), else_=added)


def _nanoseconds(day: str, after: int = 0) -> int:
    """When the day so many `after` this one begins, as far from 1970 as can be counted so."""
    days = (date.fromisoformat(day) - _EPOCH).days + after
    return max(-_MOST, min(_MOST, days * _DAY))
