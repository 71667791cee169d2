"""Collections: named parts of the library."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.sqlite import insert

from rag.catalog import Catalog, now
from rag.catalog.schema import collections, documents
from rag.errors import UnknownCollection, UsageError
from rag.records import DEFAULT_COLLECTION, Collection

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


def list_collections(catalog: Catalog) -> list[Collection]:
    """All collections, `default` first, with their documents counted."""
    statement = (
        select(
            collections.c.name,
            func.count(documents.c.id),
            collections.c.parameters,
            collections.c.model,
        )
        .outerjoin(
            documents,
            (documents.c.collection_id == collections.c.id) & (documents.c.state != "removed"),
        )
        .group_by(collections.c.id)
        .order_by(collections.c.name != DEFAULT_COLLECTION, collections.c.name)
    )
    with catalog.read() as connection:
        rows = connection.execute(statement).all()
    return [
        Collection(name, count, json.loads(parameters), model)
        for name, count, parameters, model in rows
    ]


def get_collection(catalog: Catalog, name: str) -> Collection:
    """One collection, with its documents counted. Raises UnknownCollection."""
    with catalog.read() as connection:
        collection_id(connection, name)
    return next(one for one in list_collections(catalog) if one.name == name)


def change_parameters(catalog: Catalog, name: str, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Set what answers from a collection are generated with; None forgets a parameter.

    Returns all that it has then. The values must have been checked. Raises UnknownCollection.
    """
    with catalog.write() as connection:
        known = collection_id(connection, name)
        mine = collections.c.id == known
        held = connection.execute(select(collections.c.parameters).where(mine)).scalar_one()
        merged = {**json.loads(held), **changes}
        kept = {key: value for key, value in merged.items() if value is not None}
        connection.execute(
            update(collections).where(mine).values(parameters=json.dumps(kept, ensure_ascii=False))
        )
    return kept


def change_model(catalog: Catalog, name: str, model: str) -> None:
    """Set which model answers from a collection; empty: the one in use.

    The name must have been checked. Raises UnknownCollection.
    """
    with catalog.write() as connection:
        mine = collections.c.id == collection_id(connection, name)
        connection.execute(update(collections).where(mine).values(model=model))


def asked_model(catalog: Catalog, names: Sequence[str] | None) -> tuple[str, str]:
    """The one collection that is asked and its model; both empty where several are asked.

    Without `names` all are asked, which may be one. Raises UnknownCollection.
    """
    statement = select(collections.c.name, collections.c.model)
    with catalog.read() as connection:
        if names is not None:
            statement = statement.where(collections.c.id.in_(collection_ids(connection, names)))
        found = connection.execute(statement.limit(2)).all()
    return (found[0].name, found[0].model) if len(found) == 1 else ("", "")


def asked_parameters(catalog: Catalog, names: Sequence[str] | None) -> Mapping[str, Any]:
    """The parameters of the one collection that is asked; none where several are.

    Without `names` all are asked, which may be one. Raises UnknownCollection.
    """
    statement = select(collections.c.parameters)
    with catalog.read() as connection:
        if names is not None:
            statement = statement.where(collections.c.id.in_(collection_ids(connection, names)))
        found = connection.execute(statement.limit(2)).scalars().all()
    return json.loads(found[0]) if len(found) == 1 else {}


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
