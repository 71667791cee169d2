"""What was removed and may still lie in the files: noted with each removal, until it is erased."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from rag.catalog import Catalog, put_fact, queue_time
from rag.catalog.schema import facts

_COUNT, _SINCE = "removals.count", "removals.since"


@dataclass(frozen=True, slots=True)
class Removals:
    """How often something was removed, and since when (seconds) some of it is not erased."""

    count: int
    since: float | None


def note_removal(connection: Connection) -> None:
    """Called in the transaction that takes text out of the library."""
    known = _read(connection)
    put_fact(connection, _COUNT, str(known.count + 1))
    if known.since is None:
        put_fact(connection, _SINCE, str(queue_time()))


def removals(catalog: Catalog) -> Removals:
    """What was removed so far."""
    with catalog.read() as connection:
        return _read(connection)


def note_erased(catalog: Catalog, count: int) -> None:
    """Everything up to removal number `count` is nowhere in the files any more."""
    with catalog.write() as connection:
        if _read(connection).count == count:
            put_fact(connection, _SINCE, None)
        else:
            put_fact(connection, _SINCE, str(queue_time()))


def _read(connection: Connection) -> Removals:
    rows = connection.execute(select(facts).where(facts.c.name.in_((_COUNT, _SINCE))))
    found = {row.name: row.value for row in rows}
    since = found.get(_SINCE)
    return Removals(int(found.get(_COUNT, "0")), float(since) if since else None)
