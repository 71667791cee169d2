"""What the library holds: the documents that answer now, counted and listed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, or_, select

from rag.catalog import Catalog
from rag.catalog.batching import batched
from rag.catalog.documents import SOURCE_ORDER, shown_title
from rag.catalog.filtering import (
    allowed,
    came_between,
    changed_between,
    day_of,
    in_languages,
    last_changed,
)
from rag.catalog.queue import UNFINISHED
from rag.catalog.schema import chunks, collections, contents, documents, folders, pages
from rag.records import NO_FILTERS, Filters
from rag.words import terms

# they have no text of their own; what is in them are documents
ARCHIVES = ("zip", "tar")
MAILS = ("eml", "msg")
# of a mail's first page, the header of its sender; at most so many letters are above it
_FROM = re.compile(r"^From: (.+)$", re.MULTILINE)
_HEADERS = 5_000
Order = Literal["source", "newest", "oldest", "longest"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which of the library's documents are meant: those for which all that is given holds.

    `asked` and `filters` are the asker's; the rest is what the question says itself. `folder` is
    the name of any folder on the way to the file, or some in a row (“2025/hr”); of a synced folder
    that is its own name, not those above it. `since` and `until` are the days (ISO 8601) on which
    a file was changed or added; with `dated` those by which a document itself is dated, and where
    they are a year also those that have it in their title or source. `language`
    is the tag (BCP 47) of the language that it is in, and `sender` the words of the name or address
    of who sent a mail.
    """

    asked: tuple[str, ...] | None = None
    filters: Filters = NO_FILTERS
    kinds: tuple[str, ...] = ()
    folder: str = ""
    collection: str = ""
    since: str = ""
    until: str = ""
    dated: bool = False
    language: str = ""
    sender: str = ""

    @property
    def year(self) -> str:
        """The year by which the documents meant are dated; empty where it is not one, all of it."""
        year = self.since[:4]
        whole = (self.since, self.until) == (f"{year}-01-01", f"{year}-12-31")
        return year if self.dated and whole else ""

    @property
    def narrow(self) -> bool:
        """Whether some of the library's documents may not be meant."""
        return self != Scope()


@dataclass(frozen=True, slots=True)
class Held:
    """A document that answers now. `dated` is its day, and `dated_by` what happened then.

    `changed` is when that was, in nanoseconds from 1970. `inside` is the source of the archive or
    mail that it is in, or empty. One that is not `named` has its file's name for a title. It has so
    many `pages`, and passages.
    """

    id: str
    title: str
    source: str
    kind: str
    dated: str
    changed: int
    dated_by: Literal["sent", "changed", "added"]
    inside: str
    named: bool
    pages: int
    passages: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """How many documents answer now, and how many files do not: archives, without text, …"""

    documents: int
    archives: int
    textless: int
    waiting: int
    failed: int


def count_holdings(catalog: Catalog, scope: Scope) -> Holdings:
    """Count them. Raises UnknownCollection, and NotFound of a document, as all here do."""
    live = documents.c.content_key.is_not(None)
    archive = documents.c.kind.in_(ARCHIVES)
    silent = and_(live, contents.c.chunk_count == 0)
    with catalog.read() as connection:
        row = connection.execute(
            select(
                _number(_answers()),
                _number(and_(silent, archive)),
                _number(and_(silent, ~archive)),
                _number(and_(~live, documents.c.state.in_(UNFINISHED))),
                _number(and_(~live, documents.c.state == "failed")),
            )
            .select_from(documents)
            .outerjoin(contents, contents.c.key == documents.c.content_key)
            .outerjoin(folders, folders.c.id == documents.c.folder_id)
            .where(_within(connection, scope), documents.c.state != "removed")
        ).one()
    return Holdings(*(int(number or 0) for number in row))


def kinds_held(catalog: Catalog, scope: Scope) -> dict[str, int]:
    """How many documents there are of each kind."""
    with catalog.read() as connection:
        statement = (
            select(documents.c.kind, func.count())
            .join(contents, contents.c.key == documents.c.content_key)
            .outerjoin(folders, folders.c.id == documents.c.folder_id)
            .where(_answers(), _within(connection, scope))
            .group_by(documents.c.kind)
        )
        return {row[0]: int(row[1]) for row in connection.execute(statement)}


def list_holdings(
    catalog: Catalog, scope: Scope, order: Order = "source", limit: int | None = None
) -> list[Held]:
    """The documents in this order, at most `limit` of them."""
    by = {
        "source": (SOURCE_ORDER, documents.c.id),
        "newest": (last_changed().desc(), SOURCE_ORDER),
        "oldest": (last_changed(), SOURCE_ORDER),
        "longest": (contents.c.chunk_count.desc(), contents.c.page_count.desc(), SOURCE_ORDER),
    }
    with catalog.read() as connection:
        statement = _holding().where(_answers(), _within(connection, scope))
        rows = connection.execute(statement.order_by(*by[order]).limit(limit))
        return [_held(row) for row in rows]


def some_holdings(catalog: Catalog, scope: Scope, ids: Iterable[str]) -> list[Held]:
    """Those of these documents that answer now, in any order."""
    found: list[Held] = []
    with catalog.read() as connection:
        within = _checked(_within(connection, scope))
        for some in batched(ids):
            statement = _holding().where(documents.c.id.in_(some), _answers(), within)
            found += [_held(row) for row in connection.execute(statement)]
    return found


def holdings_with(
    catalog: Catalog, scope: Scope, chunk_ids: Iterable[str]
) -> list[tuple[str, str]]:
    """Every (document id, chunk id) of a document that answers now with one of these chunks."""
    found: list[tuple[str, str]] = []
    with catalog.read() as connection:
        within = _checked(_within(connection, scope))
        for some in batched(chunk_ids):
            statement = (
                select(documents.c.id, chunks.c.id)
                .join(chunks, chunks.c.content_key == documents.c.content_key)
                .outerjoin(folders, folders.c.id == documents.c.folder_id)
                .where(chunks.c.id.in_(some), within)
            )
            found += [(row[0], row[1]) for row in connection.execute(statement)]
    return found


def chunks_within(catalog: Catalog, scope: Scope, most: int) -> list[str] | None:
    """The ids of the chunks of the documents that answer now; None where there are over `most`."""
    with catalog.read() as connection:
        within = and_(_answers(), _within(connection, scope))
        keys = (
            select(contents.c.key, contents.c.chunk_count)
            .join(documents, documents.c.content_key == contents.c.key)
            .outerjoin(folders, folders.c.id == documents.c.folder_id)
            .where(within)
            .distinct()
            .subquery()
        )
        if int(connection.execute(select(func.sum(keys.c.chunk_count))).scalar() or 0) > most:
            return None
        statement = select(chunks.c.id).where(chunks.c.content_key.in_(select(keys.c.key)))
        return list(connection.execute(statement).scalars())


def has_folder(catalog: Catalog, scope: Scope) -> bool:
    """Whether any document that the asker means is in the scope's folder, whatever else it asks."""
    where = Scope(asked=scope.asked, filters=scope.filters, folder=scope.folder)
    with catalog.read() as connection:
        statement = (
            select(documents.c.id)
            .outerjoin(folders, folders.c.id == documents.c.folder_id)
            .where(_within(connection, where), documents.c.state != "removed")
        )
        return connection.execute(statement.limit(1)).first() is not None


def holdings_spelt(
    catalog: Catalog, scope: Scope, starts: Collection[str]
) -> list[tuple[str, str]]:
    """The id, and title and source, of documents in which all of these beginnings of words stand.

    Where either is not in ASCII, of which case and accents are not known here, it is given too.
    """
    if not starts:
        return []
    text = func.coalesce(contents.c.title, "") + " " + documents.c.source
    spelt = and_(*(func.instr(func.lower(text), start) > 0 for start in starts))
    with catalog.read() as connection:
        statement = (
            select(documents.c.id, text)
            .join(contents, contents.c.key == documents.c.content_key)
            .outerjoin(folders, folders.c.id == documents.c.folder_id)
            .where(_answers(), _within(connection, scope), or_(spelt, text.op("GLOB")("*[^ -~]*")))
            .order_by(documents.c.source, documents.c.id)
        )
        return [(row[0], row[1]) for row in connection.execute(statement)]


def _checked(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The condition looked at row by row: an index for it is slower where ids choose the rows."""
    return case((condition, 1), else_=0) == 1


def _answers() -> ColumnElement[bool]:
    return and_(documents.c.content_key.is_not(None), contents.c.chunk_count > 0)


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _within(connection: Connection, scope: Scope) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [allowed(connection, scope.asked, scope.filters)]
    if scope.kinds:
        conditions.append(documents.c.kind.in_(scope.kinds))
    if scope.folder:
        # SQLite folds the case of ASCII only, and knows no two spellings of “Ü”
        driver: Any = connection.connection.driver_connection
        driver.create_function("lies_in", 3, _lies_in, deterministic=True)
        lies = func.lies_in(folders.c.path, documents.c.source, _spelt(scope.folder))
        conditions.append(lies == 1)
    if scope.collection:
        named = select(collections.c.id).where(collections.c.name == scope.collection.lower())
        conditions.append(documents.c.collection_id.in_(named))
    if scope.since:
        between = changed_between if scope.dated else came_between
        condition = between(scope.since, scope.until)
        conditions.append(or_(condition, _names(scope.year)) if scope.year else condition)
    if scope.language:
        conditions.append(in_languages([scope.language]))
    if scope.sender:
        driver = connection.connection.driver_connection
        driver.create_function("sent_by", 2, _sent_by, deterministic=True)
        mails = (
            select(pages.c.content_key)
            .join(contents, contents.c.key == pages.c.content_key)
            .where(contents.c.kind.in_(MAILS), pages.c.number == 1)
            .where(func.sent_by(func.substr(pages.c.text, 1, _HEADERS), scope.sender) == 1)
        )
        conditions.append(documents.c.content_key.in_(mails))
    return and_(*conditions)


def _names(year: str) -> ColumnElement[bool]:
    """Documents with a year in their title or source."""
    title = select(contents.c.title).where(contents.c.key == documents.c.content_key)
    named = func.coalesce(title.correlate(documents).scalar_subquery(), "")
    text = " " + named + " " + documents.c.source + " "
    return text.op("GLOB")(f"*[^0-9]{year}[^0-9]*")


def _lies_in(root: str | None, source: str, folder: str) -> bool:
    """Whether a folder, spelt as `_spelt` does, is on the way to a file."""
    return f"/{folder}/" in _spelt(f"/{PurePosixPath(root or '').name}/{source}")


def _sent_by(text: str, sender: str) -> bool:
    """Whether the header of a mail's text has all words of a name or an address."""
    header, wanted = _FROM.search(text), set(terms(sender))
    return bool(wanted) and header is not None and wanted <= set(terms(header[1]))


def _spelt(path: str) -> str:
    """A path without differences of case, or of how an accent is written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _holding() -> Select[Any]:
    above = documents.alias("above")
    return (
        select(
            documents.c.id,
            documents.c.source,
            documents.c.kind,
            documents.c.stat_key,
            documents.c.created_at,
            contents.c.title,
            contents.c.dated,
            contents.c.page_count,
            contents.c.chunk_count,
            documents.c.sent,
            last_changed().label("changed"),
            above.c.source.label("inside"),
        )
        .join(contents, contents.c.key == documents.c.content_key)
        .outerjoin(above, above.c.id == documents.c.parent_id)
        .outerjoin(folders, folders.c.id == documents.c.folder_id)
    )


def _held(row: Row[Any]) -> Held:
    sent = row.dated or row.sent
    return Held(
        id=row.id,
        title=shown_title(row.title, row.source),
        source=row.source,
        kind=row.kind,
        dated=day_of(sent, row.stat_key, row.created_at),
        changed=row.changed,
        dated_by="sent" if sent else "changed" if ":" in row.stat_key else "added",
        inside=row.inside or "",
        named=bool(row.title),
        pages=row.page_count,
        passages=row.chunk_count,
    )
