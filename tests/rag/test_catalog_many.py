"""Where a catalog holds many documents: what is claimed, what waits, what vanishes at once."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event, select

from rag.catalog import Catalog, folders
from rag.catalog.collections import create_collection
from rag.catalog.documents import Upload, add_upload, fresh_state
from rag.catalog.folders import (
    drop_files,
    folder_key,
    has_unfinished,
    known_files,
    put_files,
    unfinished,
)
from rag.catalog.queue import claim
from rag.catalog.schema import documents
from rag.catalog.versions import FileVersion


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalog.sqlite")
    create_collection(catalog, "default")
    return catalog


@pytest.mark.parametrize("of_folder", [False, True])
@pytest.mark.parametrize("largest", [None, 5])
def test_the_oldest_are_claimed_without_sorting_the_queue(
    catalog: Catalog, of_folder: bool, largest: int | None
) -> None:
    """By folder, then untried before tried, then by time, as all of them sorted would come."""
    rng = random.Random(7)
    folder = folder_key(catalog, "/documents", "default")
    with catalog.write() as connection:
        for number in range(40):
            row = {"attempts": rng.choice([0, 0, 0, 1]), "queued_at": rng.random()}
            row |= {"size": rng.randrange(10), "folder_id": rng.choice([None, folder])}
            row |= {"id": f"d{number}", "source": str(number), "kind": "text", "bytes_hash": "h"}
            connection.execute(
                documents.insert().values(fresh_state() | row | {"collection_id": 1})
            )
        rows = connection.execute(select(documents)).all()
    ordered = sorted(
        (row for row in rows if largest is None or row.size <= largest),
        key=lambda r: (of_folder and r.folder_id != folder, r.attempts > 0, r.queued_at),
    )
    plans: list[str] = []

    def explain(_c: object, cursor: sqlite3.Cursor, sql: str, given: object, *_: object) -> None:
        if sql.startswith("SELECT"):
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}", given))  # type: ignore[arg-type]

    event.listen(catalog._engine, "before_cursor_execute", explain)
    claimed: list[str] = []
    first = folder if of_folder else None
    while tasks := claim(catalog, 3, 10**9, largest=largest, first=first):
        claimed += [task.document_id for task in tasks]
    assert claimed == [row.id for row in ordered]
    assert plans
    assert set(plans) == {"SEARCH documents USING INDEX documents_by_state (state=?)"}


def test_many_files_that_vanished_go_in_several_transactions(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "DROPPED_AT_ONCE", 3)
    folder = folder_key(catalog, "/documents", "default")
    files = [FileVersion(None, str(n), "text", f"h{n}", 1) for n in range(8)]
    put_files(catalog, folder, "default", files)
    begun: list[str] = []

    def note(_c: object, _cursor: object, sql: str, *_: object) -> None:
        if sql.startswith("BEGIN IMMEDIATE"):
            begun.append(sql)

    event.listen(catalog._engine, "before_cursor_execute", note)
    drop_files(catalog, [file.document_id for file in known_files(catalog, folder).values()][1:])
    assert len(known_files(catalog, folder)) == 1
    assert len(begun) == 3


def test_what_waits_is_counted_by_folder(catalog: Catalog) -> None:
    add_upload(catalog, Upload("a.txt", "text", 10, "h1"), "default")
    folder = folder_key(catalog, "/documents", "default")
    assert (unfinished(catalog), has_unfinished(catalog)) == (1, True)
    assert (unfinished(catalog, folder), has_unfinished(catalog, folder)) == (0, False)
    put_files(catalog, folder, "default", [FileVersion(None, "b", "text", "h", 1)])
    assert (unfinished(catalog), unfinished(catalog, folder)) == (2, 1)
    assert has_unfinished(catalog, folder)
    claim(catalog, 10, 10**9)
    assert has_unfinished(catalog, folder), "it is not read yet"
