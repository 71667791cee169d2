"""The queue of documents that wait to be read: the catalog's own rows, claimed and given back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Update,
    bindparam,
    or_,
    select,
    true,
    update,
)

from rag.catalog import Catalog, now, queue_time
from rag.catalog.answers import forget_answers
from rag.catalog.batching import batched
from rag.catalog.removals import note_removal
from rag.catalog.schema import documents
from rag.records import State

# the progress of a document whose parsing has begun; a claimed one that waits has none
STARTED = 0.05
UNFINISHED: tuple[State, ...] = ("pending", "parsing", "embedding")
_CLAIMED: tuple[State, ...] = ("parsing", "embedding")


@dataclass(frozen=True, slots=True)
class Task:
    """A document that waits to be read."""

    document_id: str
    source: str
    kind: str
    bytes_hash: str
    size: int
    attempts: int


def requeue(connection: Connection, document_ids: Iterable[str]) -> None:
    """Put documents back at the end of the queue, their errors forgotten."""
    waiting = update(documents).values(
        state="pending",
        error=None,
        error_code=None,
        attempts=0,
        progress=0.0,
        updated_at=now(),
        queued_at=queue_time(),
    )
    for some in batched(list(document_ids)):  # read whole before a row is changed
        connection.execute(waiting.where(documents.c.id.in_(some)))


def claim(
    catalog: Catalog,
    limit: int,
    bytes_limit: int,
    largest: int | None = None,
    first: int | None = None,
    alone: bool = True,
) -> list[Task]:
    """Take documents from the queue, oldest first: one, or up to both limits together.

    Those larger than `largest` bytes are passed over; those of the synced folder `first` come
    before all others. One that did harm before comes after the others, by itself, and only where
    it will be `alone`.
    """
    with catalog.write(lasting=False) as connection:
        rows = _oldest(connection, limit, largest, first)
        total, taken = 0, 0
        for row in rows:
            total += row.size
            if (taken and total > bytes_limit) or (row.attempts and (taken or not alone)):
                break
            taken += 1
            if row.attempts:
                break
        rows = rows[:taken]
        if rows:
            connection.execute(
                update(documents)
                .where(documents.c.id.in_([row.id for row in rows]))
                .values(state="parsing", progress=0.0, updated_at=now())
            )
    return [
        Task(row.id, row.source, row.kind, row.bytes_hash, row.size, row.attempts) for row in rows
    ]


def _oldest(
    connection: Connection, limit: int, largest: int | None, first: int | None
) -> list[Row[Any]]:
    """The rows to claim from, in order: those of the folder `first`, and the untried, go before.

    Each part is read in the order of its index: the whole queue is not sorted for a few. What comes
    after one that was tried is not looked at, since nothing is claimed with it.
    """
    statement = select(documents).where(documents.c.state == "pending")
    if largest is not None:
        statement = statement.where(documents.c.size <= largest)
    statement = statement.order_by(documents.c.queued_at)
    there = documents.c.folder_id == first
    rows: list[Row[Any]] = []
    for part in (true(),) if first is None else (there, there.is_not(true())):
        untried = statement.where(part, documents.c.attempts == 0)
        rows += connection.execute(untried.limit(limit - len(rows))).all()
        if len(rows) < limit:
            tried = connection.execute(statement.where(part, documents.c.attempts > 0)).first()
            if tried:
                return [*rows, tried]
    return rows


def report(catalog: Catalog, steps: Iterable[tuple[Task, State, float]]) -> None:
    """Say what is being done with claimed documents, and how far each is, a share from 0 to 1."""
    rows = [_named(task) | {"at": state, "share": share} for task, state, share in steps]
    values: dict[str, object] = {"state": bindparam("at"), "progress": bindparam("share")}
    values["updated_at"] = now()
    if rows:
        with catalog.write(lasting=False) as connection:
            connection.execute(update(documents).where(_STILL).values(values), rows)


def fail(catalog: Catalog, task: Task, recipe: str, code: str, message: str) -> None:
    """Note that the task's bytes cannot be read. What answered for it before still does."""
    with catalog.write() as connection:
        connection.execute(
            update(documents)
            .where(still(task))
            .values(state="failed", recipe=recipe, error_code=code, error=message, updated_at=now())
        )


def release(catalog: Catalog, tasks: Iterable[Task]) -> None:
    """Put claimed tasks back untried (the worker stops, or the disk is full)."""
    with catalog.write() as connection:
        connection.execute(put_back(tasks))


def put_back(tasks: Iterable[Task]) -> Update:
    """The statement that puts claimed tasks back."""
    return (
        update(documents)
        .where(
            documents.c.id.in_([task.document_id for task in tasks]),
            documents.c.state.in_(_CLAIMED),
        )
        .values(state="pending", progress=0.0)
    )


def make_live(
    connection: Connection, finished: Sequence[tuple[Task, str]], recipe: str
) -> list[str]:
    """Let contents, named by their keys, answer for the documents of claimed tasks.

    Returns the ids of those documents; one that changed meanwhile is left out.
    """
    before = _claimed(connection, [task for task, _ in finished])
    there = [(task, key) for task, key in finished if task in before]
    if any(before[task] not in (None, key) for task, key in there):
        note_removal(connection)
    values = {
        "content_key": bindparam("content"),
        "state": "live",
        "recipe": recipe,
        "progress": 1.0,
        "error": None,
        "error_code": None,
        "attempts": 0,
        "updated_at": now(),
    }
    if there:
        rows = [_named(task) | {"content": key} for task, key in there]
        connection.execute(update(documents).where(_STILL).values(values), rows)
    forget_answers(connection, [task.document_id for task, _ in finished])
    return list(dict.fromkeys(task.document_id for task, _ in there))


def still_wanted(catalog: Catalog, tasks: Sequence[Task]) -> set[Task]:
    """Those of claimed tasks whose documents are neither removed nor changed."""
    with catalog.read() as connection:
        return set(_claimed(connection, tasks))


def _claimed(connection: Connection, tasks: Sequence[Task]) -> dict[Task, str | None]:
    """Those of claimed tasks that are still what their document is about, each with the key of the
    content that answers for it."""
    columns = (documents.c.id, documents.c.bytes_hash, documents.c.kind, documents.c.content_key)
    there: dict[tuple[str, str, str], str | None] = {}
    for some in batched(task.document_id for task in tasks):
        rows = connection.execute(
            select(*columns).where(documents.c.id.in_(some), documents.c.state.in_(_CLAIMED))
        )
        there.update(((row.id, row.bytes_hash, row.kind), row.content_key) for row in rows)
    names = ((task, (task.document_id, task.bytes_hash, task.kind)) for task in tasks)
    return {task: there[name] for task, name in names if name in there}


def still(task: Task) -> ColumnElement[bool]:
    """Whether a claimed task is what its document is still about."""
    return _is_about(task.document_id, task.bytes_hash, task.kind)


def _is_about(document_id: object, bytes_hash: object, kind: object) -> ColumnElement[bool]:
    return (
        (documents.c.id == document_id)
        & (documents.c.bytes_hash == bytes_hash)
        & (documents.c.kind == kind)
        # no IN: a statement over many rows may have none
        & or_(*(documents.c.state == state for state in _CLAIMED))
    )


# `still` of many tasks in one statement, each with the values of `_named`
_STILL = _is_about(bindparam("named"), bindparam("bytes"), bindparam("read_as"))


def _named(task: Task) -> dict[str, object]:
    return {"named": task.document_id, "bytes": task.bytes_hash, "read_as": task.kind}
