"""Collections: named parts of the library."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from rag.catalog import Catalog, now
from rag.catalog.schema import collections
from rag.errors import UnknownCollection, UsageError
from rag.records import DEFAULT_COLLECTION

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def create_collection(catalog: Catalog, name: str) -> int:
    """The id of collection `name`, made if new. Raises UsageError for a name that is not one."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"“{name[:80]}” cannot name a collection: use up to 63 of a-z, 0-9, - and _, "
            "beginning with a letter or a digit."
        )
    with catalog.write() as connection:
        statement = insert(collections).values(name=name, created_at=now())
        connection.execute(statement.on_conflict_do_nothing())
    with catalog.read() as connection:
        return collection_id(connection, name)


def collection_names(catalog: Catalog) -> list[str]:
    """All collections, `default` first."""
    with catalog.read() as connection:
        names = list(connection.execute(select(collections.c.name)).scalars())
    return sorted(set(names) | {DEFAULT_COLLECTION}, key=lambda n: (n != DEFAULT_COLLECTION, n))


def collection_id(connection: Connection, name: str) -> int:
    """The id of collection `name`. Raises UnknownCollection, naming the nearest."""
    known = {row.name: row.id for row in connection.execute(select(collections))}
    if name in known:
        return int(known[name])
    near = difflib.get_close_matches(name, known, n=1) or sorted(known)[:1]
    hint = f" Did you mean “{near[0]}”?" if near else ""
    raise UnknownCollection(f"There is no collection “{name[:80]}”.{hint}")


def collection_ids(connection: Connection, names: Iterable[str] | None) -> list[int]:
    """The ids of the collections named, or of all. Raises UnknownCollection."""
    if names is None:
        return list(connection.execute(select(collections.c.id)).scalars())
    return [collection_id(connection, name) for name in names]
